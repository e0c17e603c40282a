/* SHA-256 (FIPS 180-4) for content keys, FNV-1a for hash tables, CRC-32C for records. */
#ifndef TUFF_BASE_HASH_H
#define TUFF_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct tuff_sha256 {
    uint32_t state[8];
    uint64_t size;
    uint8_t block[64];
} tuff_sha256;
void tuff_sha256_init(tuff_sha256 *hash);
void tuff_sha256_update(tuff_sha256 *hash, const void *data, size_t size);
/* Lower-case hexadecimal and a NUL. */
void tuff_sha256_hex(tuff_sha256 *hash, char out[65]);
/* Of one piece of memory. */
void tuff_sha256_hex_of(const void *data, size_t size, char out[65]);

uint64_t tuff_fnv1a(const void *data, size_t size);

/* Castagnoli's (RFC 3720, B.4): 0xe3069283 of "123456789". For short records: it goes bit by bit. */
uint32_t tuff_crc32c(const void *data, size_t size);

/* An odd number of this process alone, for tables whose keys come from files: whoever wrote a file must not
 * know which keys fall on one place, or a table of n of them would take n^2 steps. Thread-safe. */
uint64_t tuff_hash_seed(void);

#endif
