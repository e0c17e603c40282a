#include "backend/cpu/amx.h"

#include "base/os.h"

#if defined(__x86_64__) && defined(__linux__) && \
    ((defined(__GNUC__) && __GNUC__ >= 11) || __clang_major__ >= 12)
#include <cpuid.h>
#include <immintrin.h>
#include <string.h>

#define TARGET __attribute__((target("amx-tile,amx-bf16")))
#define INLINE static inline __attribute__((always_inline)) TARGET

enum { TILE = 512, ROW = 64 }; /* elements of a tile; bytes of a row of one */

static bool hidden;
static bool ready;

/* Tiles are part of the state that the system saves (XCR0, bits 17 and 18) where it knows them. */
static void look(void)
{
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d >> 22 & 1) || !(d >> 24 & 1))
        return;                                                    /* AMX-BF16, -TILE */
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 27 & 1)) return; /* OSXSAVE */
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    ready = (low >> 17 & 3) == 3 && tuff_allow_tiles();
}

bool tuff_amx_ready(void)
{
    static tuff_once once = TUFF_ONCE_INIT;
    tuff_call_once(&once, look);
    return ready && !hidden;
}

void tuff_amx_hide(bool hide)
{
    hidden = hide;
}

typedef struct config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} config;

/* 0 to 3: results, 2 x 2; 4 and 5: of a; 6 and 7: of b. */
TARGET void tuff_amx_begin(void)
{
    static const config all = {.palette = 1,
                               .row_bytes = {ROW, ROW, ROW, ROW, ROW, ROW, ROW, ROW},
                               .rows = {16, 16, 16, 16, 16, 16, 16, 16}};
    _tile_loadconfig(&all);
}

TARGET void tuff_amx_end(void)
{
    _tile_release();
}

/* The compiler does not know that the instructions below read and write memory. */
#define MEMORY() __asm__ volatile("" ::: "memory")

/* c is whole tiles: two down where `low`, two across where `right`. */
INLINE void sum(const uint16_t *a, const uint16_t *b, int64_t blocks, float *c, int64_t ldc, bool add,
                bool low, bool right)
{
    const int64_t apart = ldc * (int64_t)sizeof(float);
    MEMORY();
    if (add) {
        _tile_loadd(0, c, apart);
        if (right) _tile_loadd(1, c + 16, apart);
        if (low) _tile_loadd(2, c + 16 * ldc, apart);
        if (low && right) _tile_loadd(3, c + 16 * ldc + 16, apart);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    for (int64_t i = 0; i < blocks; i++, a += TUFF_AMX_BLOCK, b += TUFF_AMX_BLOCK) {
        _tile_loadd(4, a, ROW);
        _tile_loadd(6, b, ROW);
        _tile_dpbf16ps(0, 4, 6);
        if (right) {
            _tile_loadd(7, b + TILE, ROW);
            _tile_dpbf16ps(1, 4, 7);
        }
        if (!low) continue;
        _tile_loadd(5, a + TILE, ROW);
        _tile_dpbf16ps(2, 5, 6);
        if (right) _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, c, apart);
    if (right) _tile_stored(1, c + 16, apart);
    if (low) _tile_stored(2, c + 16 * ldc, apart);
    if (low && right) _tile_stored(3, c + 16 * ldc + 16, apart);
    MEMORY();
}

static TARGET void sum_whole(const uint16_t *a, const uint16_t *b, int64_t blocks, float *c, int64_t ldc,
                             bool add)
{
    sum(a, b, blocks, c, ldc, add, true, true);
}

static TARGET void sum_part(const uint16_t *a, const uint16_t *b, int64_t blocks, float *c, bool add,
                            bool low, bool right)
{
    if (low)
        sum(a, b, blocks, c, TUFF_AMX_SIDE, add, true, false);
    else if (right)
        sum(a, b, blocks, c, TUFF_AMX_SIDE, add, false, true);
    else
        sum(a, b, blocks, c, TUFF_AMX_SIDE, add, false, false);
}

void tuff_amx_multiply(const uint16_t *a, const uint16_t *b, int64_t blocks, float *c, int64_t ldc,
                       int64_t rows, int64_t columns, bool add)
{
    if (rows == TUFF_AMX_SIDE && columns == TUFF_AMX_SIDE) {
        sum_whole(a, b, blocks, c, ldc, add);
        return;
    }
    float part[TUFF_AMX_SIDE * TUFF_AMX_SIDE]; /* at the edges of c: what is beyond goes nowhere */
    const bool low = rows > 16, right = columns > 16;
    if (add) {
        memset(part, 0, sizeof part);
        for (int64_t i = 0; i < rows; i++)
            memcpy(part + i * TUFF_AMX_SIDE, c + i * ldc, (size_t)columns * sizeof *c);
    }
    if (low && right)
        sum_whole(a, b, blocks, part, TUFF_AMX_SIDE, add);
    else
        sum_part(a, b, blocks, part, add, low, right);
    for (int64_t i = 0; i < rows; i++)
        memcpy(c + i * ldc, part + i * TUFF_AMX_SIDE, (size_t)columns * sizeof *c);
}

#else

bool tuff_amx_ready(void)
{
    return false;
}

void tuff_amx_hide(bool hide)
{
    (void)hide;
}

void tuff_amx_begin(void) {}

void tuff_amx_end(void) {}

void tuff_amx_multiply(const uint16_t *a, const uint16_t *b, int64_t blocks, float *c, int64_t ldc,
                       int64_t rows, int64_t columns, bool add)
{
    (void)a, (void)b, (void)blocks, (void)c, (void)ldc, (void)rows, (void)columns, (void)add;
}

#endif
