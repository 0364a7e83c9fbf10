internal import COpenSSL

/// Diffie-Hellman on the NIST curves: groups 19, 20 and 21 (RFC 5903).
///
/// Straight on OpenSSL's point multiplication: `EVP_PKEY_derive` multiplies the peer's point by the group's order
/// first, which says nothing new on curves whose cofactor is 1.
// Proof of Sendable: the group is written in `init` and `deinit` alone; every use takes it as a constant.
final class EllipticCurve: @unchecked Sendable {
    private let group: DHGroup
    private let curve: OpaquePointer
    private let order: OpaquePointer
    private let orderBits: Int
    /// Bytes of one coordinate.
    private let length: Int

    private init(_ group: DHGroup, _ name: Int32, orderBits: Int) throws(CryptographyError) {
        guard let curve = EC_GROUP_new_by_curve_name(name) else { throw .fromOpenSSL("prepare \(group.name)") }
        guard let order = EC_GROUP_get0_order(curve) else {
            EC_GROUP_free(curve)
            throw .fromOpenSSL("prepare \(group.name)")
        }
        self.group = group
        self.curve = curve
        self.order = order
        self.orderBits = orderBits
        length = group.publicValueLength / 2
    }

    deinit { EC_GROUP_free(curve) }

    /// A scalar from 1 to the order less 1.
    func makePrivate(_ random: inout SeededRandom) throws(CryptographyError) -> Secret {
        try random.scalar(below: order, bits: orderBits)
    }

    /// x, then y (RFC 5903 §7).
    func publicValue(_ scalar: Secret) throws(CryptographyError) -> [UInt8] {
        let scratch = try Scratch()
        let point = try Point(curve)
        let scalar = try BigNumber(scalar, isSecret: true)
        let x = try BigNumber()
        let y = try BigNumber()
        guard EC_POINT_mul(curve, point.pointer, scalar.pointer, nil, nil, scratch.pointer) == 1,
            EC_POINT_get_affine_coordinates(curve, point.pointer, x.pointer, y.pointer, scratch.pointer) == 1
        else { throw .fromOpenSSL("compute in \(group.name)") }
        var bytes = [UInt8](repeating: 0, count: 2 * length)
        try bytes.withUnsafeMutableBufferPointer { (buffer) throws(CryptographyError) in
            let output = UnsafeMutableRawBufferPointer(buffer)
            try x.write(to: UnsafeMutableRawBufferPointer(rebasing: output[0..<length]))
            try y.write(to: UnsafeMutableRawBufferPointer(rebasing: output[length...]))
        }
        return bytes
    }

    /// The x coordinate of the common point (RFC 5903 §7).
    func sharedSecret(_ scalar: Secret, peer: ArraySlice<UInt8>) throws(CryptographyError) -> Secret {
        let scratch = try Scratch()
        let point = try Point(curve)
        try decode(peer, into: point, scratch)
        let scalar = try BigNumber(scalar, isSecret: true)
        let x = try BigNumber()
        // The order is prime and the scalar below it, so a point of the curve never comes out at infinity.
        guard EC_POINT_mul(curve, point.pointer, nil, point.pointer, scalar.pointer, scratch.pointer) == 1,
            EC_POINT_get_affine_coordinates(curve, point.pointer, x.pointer, nil, scratch.pointer) == 1
        else { throw .fromOpenSSL("compute in \(group.name)") }
        return try x.secret(length)
    }

    /// RFC 6989 §2.3: both coordinates below p and the point on the curve. Infinity has no such form.
    private func decode(
        _ bytes: ArraySlice<UInt8>, into point: borrowing Point, _ scratch: borrowing Scratch
    ) throws(CryptographyError) {
        let encoded = [UInt8(POINT_CONVERSION_UNCOMPRESSED.rawValue)] + bytes
        guard EC_POINT_oct2point(curve, point.pointer, encoded, encoded.count, scratch.pointer) == 1,
            EC_POINT_is_on_curve(curve, point.pointer, scratch.pointer) == 1,
            EC_POINT_is_at_infinity(curve, point.pointer) == 0
        else {
            ERR_clear_error()
            throw .invalidPublicValue(group, .notOnCurve)
        }
    }

    /// A point, wiped when it goes.
    private struct Point: ~Copyable {
        let pointer: OpaquePointer

        init(_ curve: OpaquePointer) throws(CryptographyError) {
            guard let pointer = EC_POINT_new(curve) else { throw .fromOpenSSL("make a point") }
            self.pointer = pointer
        }

        deinit { EC_POINT_clear_free(pointer) }
    }
}

extension EllipticCurve {
    /// The curve of a group; nil for the others.
    static func of(_ group: DHGroup) -> Result<EllipticCurve, CryptographyError>? {
        switch group {
        case .ecp256: ecp256
        case .ecp384: ecp384
        case .ecp521: ecp521
        default: nil
        }
    }

    private static let ecp256 = make(.ecp256, NID_X9_62_prime256v1, orderBits: 256)
    private static let ecp384 = make(.ecp384, NID_secp384r1, orderBits: 384)
    private static let ecp521 = make(.ecp521, NID_secp521r1, orderBits: 521)

    private static func make(
        _ group: DHGroup, _ name: Int32, orderBits: Int
    ) -> Result<EllipticCurve, CryptographyError> {
        Result { () throws(CryptographyError) in try EllipticCurve(group, name, orderBits: orderBits) }
    }
}
