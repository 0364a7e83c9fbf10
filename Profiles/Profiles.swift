/// Vendors as data: the profiles under this folder, built into the program.
public enum Profiles {
    /// `ipsec/aws.yaml`: what AWS Site-to-Site VPN permits, and what we use where a file is silent.
    public static var aws: String { String(decoding: PackageResources.aws_yaml, as: UTF8.self) }
}
