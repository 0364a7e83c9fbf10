#pragma once
// HMAC (RFC 2104) over one packet and a short tail, from states prepared once per key.
//
// EVP_MAC of OpenSSL 3.0 allocates when it is started again for the next packet; the block functions below
// do not. They are the same assembler routines (SHA extensions included) behind a plain structure.
// Static inline in a system header, so that their deprecation notice does not reach Swift.
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>

typedef union {
    SHA_CTX sha1;
    SHA256_CTX sha256;
    SHA512_CTX sha512;
} gh_hash_state;

typedef struct {
    gh_hash_state inner, outer;
    int bits; // 160, 256, 384 or 512
} gh_packet_hmac;

static inline void gh_hash_start(gh_hash_state *state, int bits) {
    switch (bits) {
    case 160: SHA1_Init(&state->sha1); break;
    case 256: SHA256_Init(&state->sha256); break;
    case 384: SHA384_Init(&state->sha512); break;
    default: SHA512_Init(&state->sha512); break;
    }
}

static inline void gh_hash_update(gh_hash_state *state, int bits, const void *data, size_t length) {
    switch (bits) {
    case 160: SHA1_Update(&state->sha1, data, length); break;
    case 256: SHA256_Update(&state->sha256, data, length); break;
    case 384: SHA384_Update(&state->sha512, data, length); break;
    default: SHA512_Update(&state->sha512, data, length); break;
    }
}

static inline void gh_hash_finish(gh_hash_state *state, int bits, unsigned char *digest) {
    switch (bits) {
    case 160: SHA1_Final(digest, &state->sha1); break;
    case 256: SHA256_Final(digest, &state->sha256); break;
    case 384: SHA384_Final(digest, &state->sha512); break;
    default: SHA512_Final(digest, &state->sha512); break;
    }
}

// The key must not be longer than the block of the hash (64 bytes; 128 for SHA-384 and SHA-512). 0 if it is.
static inline int gh_packet_hmac_prepare(gh_packet_hmac *hmac, int bits, const void *key, size_t length) {
    unsigned char pad[128];
    size_t block = bits <= 256 ? 64 : 128;
    if (length > block) return 0;
    hmac->bits = bits;
    memset(pad, 0x36, block);
    for (size_t i = 0; i < length; i++) pad[i] ^= ((const unsigned char *)key)[i];
    gh_hash_start(&hmac->inner, bits);
    gh_hash_update(&hmac->inner, bits, pad, block);
    for (size_t i = 0; i < block; i++) pad[i] ^= 0x36 ^ 0x5c;
    gh_hash_start(&hmac->outer, bits);
    gh_hash_update(&hmac->outer, bits, pad, block);
    OPENSSL_cleanse(pad, sizeof pad);
    return 1;
}

// Writes the whole digest (up to 64 bytes) of data followed by tail.
static inline void gh_packet_hmac_compute(const gh_packet_hmac *hmac, const void *data, size_t length,
                                          const void *tail, size_t tail_length, unsigned char *digest) {
    gh_hash_state state = hmac->inner;
    gh_hash_update(&state, hmac->bits, data, length);
    if (tail_length) gh_hash_update(&state, hmac->bits, tail, tail_length);
    gh_hash_finish(&state, hmac->bits, digest);
    state = hmac->outer;
    gh_hash_update(&state, hmac->bits, digest, (size_t)hmac->bits / 8);
    gh_hash_finish(&state, hmac->bits, digest);
}
