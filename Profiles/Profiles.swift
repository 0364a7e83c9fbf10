/// Vendors as data: the profiles under this folder, built into the program.
public enum Profiles {
    /// `ipsec/aws.yaml`: what AWS Site-to-Site VPN permits, and what we use where a file is silent.
    public static var aws: String { text(PackageResources.aws_yaml) }

    // What a connector by hand starts from, each value with its source.
    public static var azure: String { text(PackageResources.azure_yaml) }
    public static var fortigate: String { text(PackageResources.fortigate_yaml) }
    public static var googleCloud: String { text(PackageResources.google_cloud_yaml) }
    public static var strongswan: String { text(PackageResources.strongswan_yaml) }

    /// `identity/*.yaml`: what the consoles of identity providers call things, and what they send, by vendor.
    public static var identity: [String: String] {
        [
            "entra": text(PackageResources.entra_yaml), "jumpcloud": text(PackageResources.jumpcloud_yaml),
            "okta": text(PackageResources.okta_yaml),
        ]
    }

    /// `identity/*-oidc.yaml`: the same of OpenID providers, by vendor; `oidc` is any other.
    public static var openID: [String: String] {
        [
            "entra": text(PackageResources.entra_oidc_yaml), "google": text(PackageResources.google_oidc_yaml),
            "oidc": text(PackageResources.generic_oidc_yaml), "okta": text(PackageResources.okta_oidc_yaml),
        ]
    }

    /// `posture/*.yaml`: how endpoint protection platforms are asked, and what their fields mean, by vendor.
    public static var posture: [String: String] {
        [
            "defender": text(PackageResources.defender_yaml), "gravityzone": text(PackageResources.gravityzone_yaml),
            "heimdal": text(PackageResources.heimdal_yaml), "sentinelone": text(PackageResources.sentinelone_yaml),
        ]
    }

    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}
