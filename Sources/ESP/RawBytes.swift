// Fields in network order at an offset that the caller has checked to lie inside.

extension UnsafeRawBufferPointer {
    @inline(__always) func uint16(_ offset: Int) -> UInt16 {
        UInt16(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }

    @inline(__always) func uint32(_ offset: Int) -> UInt32 {
        UInt32(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    @inline(__always) func uint128(_ offset: Int) -> UInt128 {
        let high = UInt64(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        let low = UInt64(bigEndian: loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self))
        return UInt128(high) << 64 | UInt128(low)
    }
}

extension UnsafeMutableRawBufferPointer {
    @inline(__always) func uint16(_ offset: Int) -> UInt16 { UnsafeRawBufferPointer(self).uint16(offset) }
    @inline(__always) func uint32(_ offset: Int) -> UInt32 { UnsafeRawBufferPointer(self).uint32(offset) }

    @inline(__always) func set(_ value: UInt16, at offset: Int) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt16.self)
    }

    @inline(__always) func set(_ value: UInt32, at offset: Int) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt32.self)
    }

    /// `count` bytes from `offset`, both checked by the caller.
    @inline(__always) func part(_ offset: Int, _ count: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: self[offset..<offset + count])
    }
}
