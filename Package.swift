// swift-tools-version: 6.2
import PackageDescription

/// Settings of every target of ours: Swift 6 mode, explicit existentials, no leaked imports, no warnings.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
]

/// A room of the house: `Sources/NAME`, with exactly the imports it names.
func room(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

/// The tests of a room: `Tests/NAMETests`.
func tests(
    _ name: String, _ dependencies: [Target.Dependency], exclude: [String] = [], resources: [Resource]? = nil
) -> Target {
    .testTarget(
        name: name + "Tests", dependencies: [.byName(name: name)] + dependencies, exclude: exclude,
        resources: resources, swiftSettings: strict)
}

let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let hummingbirdCore = Target.Dependency.product(name: "HummingbirdCore", package: "hummingbird")
let hummingbirdTLS = Target.Dependency.product(name: "HummingbirdTLS", package: "hummingbird")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let jwtKit = Target.Dependency.product(name: "JWTKit", package: "jwt-kit")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
    name: "gatehouse",
    products: [
        .executable(name: "gatehouse", targets: ["gatehouse"]),
        .executable(name: "gatehoused", targets: ["gatehoused"]),
        .executable(name: "gatehouse-directory-agent", targets: ["gatehouse-directory-agent"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.1"),
    ],
    targets: [
        // System: module maps and shims, one small C target a library.
        .systemLibrary(
            name: "COpenSSL", path: "Sources/System/COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(
            name: "CMnl", path: "Sources/System/CMnl", pkgConfig: "libmnl", providers: [.apt(["libmnl-dev"])]),
        .systemLibrary(
            name: "CXML2", path: "Sources/System/CXML2", pkgConfig: "libxml-2.0", providers: [.apt(["libxml2-dev"])]),
        .systemLibrary(
            name: "CCurl", path: "Sources/System/CCurl", pkgConfig: "libcurl",
            providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CLDAP", path: "Sources/System/CLDAP", pkgConfig: "ldap", providers: [.apt(["libldap-dev"])]),
        .target(name: "CLinux", path: "Sources/System/CLinux"),

        // Engines and their words: no I/O.
        room("Base", []),
        room("Cryptography", ["Base", "COpenSSL"]),
        room("JSONText", ["Cryptography"]),
        room("HTTP", ["Base", "Cryptography"]),
        room("XML", ["Base", "CXML2"]),
        .target(
            name: "Profiles", path: "Profiles",
            resources: ["aws", "azure", "fortigate", "google-cloud", "strongswan"].map {
                .embedInCode("ipsec/\($0).yaml")
            } + [
                "entra", "jumpcloud", "okta", "entra-oidc", "generic-oidc", "google-oidc", "okta-oidc",
            ].map { .embedInCode("identity/\($0).yaml") }
                + ["defender", "gravityzone", "heimdal", "sentinelone"].map { .embedInCode("posture/\($0).yaml") },
            swiftSettings: strict),
        room("ESP", ["Base", "Cryptography"]),
        room("IKE", ["Base", "Cryptography"]),
        room("Tunnels", ["Base", "Cryptography", "IKE", "JSONText", "XML", "Profiles", yams]),
        room("Identity", ["Base", "Cryptography", "HTTP", "JSONText", "Profiles", "XML", jwtKit, yams]),
        room("Access", ["Base", "Identity"]),
        room("Vendors", ["Access", "Base", "Cryptography", "HTTP", "Identity", "JSONText", "Profiles", yams]),

        // Shells.
        room("Ldap", ["Base", "Cryptography", "Identity", "Vendors", "CLDAP"]),
        room("Store", ["Access", "Base", "Cryptography", "Identity", "JSONText", "Tunnels", "Vendors", grdb]),
        room("Host", ["Access", "Base", "Cryptography", "ESP", "HTTP", "IKE", "Tunnels", "CCurl", "CLinux", "CMnl"]),
        room(
            "Portal",
            [
                "Access", "Base", "Cryptography", "Identity", "JSONText", "Tunnels", "Vendors", hummingbird, hummingbirdCore,
                httpTypes, nioCore, nioPosix, nioHTTP1, nioSSL, logging,
            ]),
        room(
            "Gateway",
            [
                "Access", "Base", "Cryptography", "HTTP", "Identity", "IKE", "JSONText", "Ldap", "Tunnels", "Vendors", "Host",
                "Store", "Portal", logging, yams,
            ]),
        .executableTarget(
            name: "gatehoused", dependencies: ["Gateway", "Base", argumentParser, logging, unixSignals],
            swiftSettings: strict),
        .executableTarget(
            name: "gatehouse",
            dependencies: [
                "Access", "Base", "Cryptography", "Host", "HTTP", "Identity", "IKE", "JSONText", "Portal", "Tunnels", "Vendors",
                argumentParser, yams, nioCore, nioPosix, nioHTTP1,
            ],
            swiftSettings: strict),

        // Runs where the directory is: nothing in it is Linux's alone.
        .executableTarget(
            name: "gatehouse-directory-agent",
            dependencies: ["Base", "Cryptography", "Identity", "Ldap", "Vendors", "CCurl", argumentParser], swiftSettings: strict),

        // Benchmarks: run by tools/bench.
        .executableTarget(
            name: "bench-ike", dependencies: ["IKE", "Cryptography", "Base"], path: "tools/benchmarks/ike",
            swiftSettings: strict),
        .executableTarget(
            name: "bench-esp", dependencies: ["ESP", "Cryptography", "Base", "COpenSSL"], path: "tools/benchmarks/esp",
            swiftSettings: strict),
        .executableTarget(
            name: "bench-import", dependencies: ["Tunnels"], path: "tools/benchmarks/import", swiftSettings: strict),

        .executableTarget(
            name: "bench-kernel", dependencies: ["Base", "Cryptography", "Host", "IKE", "JSONText", "Tunnels"],
            path: "tools/benchmarks/kernel", swiftSettings: strict),

        .executableTarget(
            name: "bench-gate", dependencies: ["Access", "Base", "Host"], path: "tools/benchmarks/gate",
            swiftSettings: strict),

        .executableTarget(
            name: "bench-saml", dependencies: ["Base", "Cryptography", "Identity", "TestSAMLProvider"],
            path: "tools/benchmarks/saml", exclude: ["peer.py"], swiftSettings: strict),

        .executableTarget(
            name: "bench-epp", dependencies: ["Base", "Cryptography", "Host", "HTTP", "JSONText", "Store", "Vendors"],
            path: "tools/benchmarks/epp", swiftSettings: strict),
        .executableTarget(
            name: "bench-policy", dependencies: ["Access", "Base", "Cryptography", "Host", "Store"],
            path: "tools/benchmarks/policy", swiftSettings: strict),

        // Simulation: run by tools/simulate and tools/test.
        .target(
            name: "Simulation", dependencies: ["Base", "Cryptography", "ESP", "IKE", "Tunnels"],
            path: "Tests/Simulation", exclude: ["Mutations"], swiftSettings: strict),
        .executableTarget(
            name: "simulate", dependencies: ["Simulation"], path: "tools/simulation", swiftSettings: strict),

        // Tests: one folder a room; EndToEnd talks to real peers.
        .target(
            name: "TestCertificates", dependencies: ["COpenSSL"], path: "Tests/Certificates", swiftSettings: strict),
        .target(
            name: "TestSAMLProvider", dependencies: ["Base", "Cryptography", "XML"], path: "Tests/SAMLProvider",
            swiftSettings: strict),
        tests("Base", []),
        tests("Cryptography", ["Base", "COpenSSL", "TestCertificates"], exclude: ["vectors"]),
        tests("XML", []),
        tests("HTTP", ["Base", "Cryptography"]),
        tests("Access", ["Base", "Identity"]),
        tests("ESP", ["Base", "Cryptography"], exclude: ["vectors"]),
        tests("IKE", ["Base", "Cryptography", "TestCertificates"], exclude: ["vectors"]),
        tests(
            "Tunnels", ["Base", "Cryptography", "IKE", "XML", "Profiles"],
            resources: [.copy("Samples"), .copy("Plans")]),
        tests(
            "Vendors", ["Access", "Base", "Cryptography", "HTTP", "Identity", "JSONText", "TestCertificates"],
            resources: [.copy("Samples"), .copy("Profiles")]),
        tests("Identity", ["Base", "Cryptography", "HTTP", "JSONText", "XML"], resources: [.copy("Samples")]),
        tests("Store", ["Access", "Base", "Cryptography", "Identity", "IKE", "Tunnels", grdb]),
        tests(
            "Host", ["Access", "Base", "Cryptography", "ESP", "HTTP", "IKE", "TestCertificates", "Tunnels", "CLinux"],
            exclude: ["Web/faulty_server.py"]),
        .target(
            name: "PortalFake",
            dependencies: ["Access", "Base", "Cryptography", "Identity", "IKE", "Tunnels", "Portal", "Vendors"],
            path: "Tests/PortalFake", swiftSettings: strict),
        tests("Portal", ["PortalFake", "Base", "Cryptography", "Identity", "JSONText", "Tunnels", logging]),
        tests("gatehouse", ["PortalFake", "TestCertificates", "Portal", "Base", "Cryptography", "IKE", "JSONText", "Tunnels", logging]),
        tests(
            "Gateway",
            [
                "Access", "Base", "Cryptography", "HTTP", "Host", "Identity", "IKE", "Portal", "PortalFake", "Store",
                "TestCertificates", "TestSAMLProvider", "Tunnels", "Vendors",
            ]),
        .testTarget(name: "SimulationTests", dependencies: ["Simulation"], swiftSettings: strict),
        .target(
            name: "FuzzTargets",
            dependencies: [
                "Access", "Base", "Cryptography", "ESP", "HTTP", "IKE", "Identity", "JSONText", "Portal", "PortalFake", "Tunnels",
                "Vendors", "XML",
            ], path: "Tests/Fuzz/Targets", swiftSettings: strict),
        .testTarget(
            name: "FuzzTests", dependencies: ["FuzzTargets"], path: "Tests/Fuzz/Replay", swiftSettings: strict),
        .testTarget(
            name: "EndToEndTests", dependencies: ["TestCertificates"], path: "Tests/EndToEnd",
            exclude: ["ActiveDirectory", "HostilePeer", "IdentityProvider", "OpenIDProvider"], swiftSettings: strict),
    ]
)

// The fuzzer links libFuzzer, which ordinary builds have no use for: tools/fuzz asks for it.
if Context.environment["GATEHOUSE_FUZZ"] != nil {
    package.targets += [
        .target(name: "CFuzzer", path: "Tests/Fuzz/CFuzzer"),
        .executableTarget(
            name: "fuzz", dependencies: ["CFuzzer", "FuzzTargets"], path: "Tests/Fuzz/Driver", swiftSettings: strict),
    ]
}
