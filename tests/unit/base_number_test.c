#include <math.h>

#include "base/half.h"
#include "base/hash.h"
#include "base/rng.h"
#include "kit/kit.h"

/* The value of a binary16, from its definition (IEEE 754-2008, 3.4). */
static double f16_value(uint16_t h)
{
    int exponent = (h >> 10) & 31;
    double mantissa = h & 0x3ff, sign = h & 0x8000 ? -1.0 : 1.0;
    if (exponent == 31) return mantissa ? NAN : sign * INFINITY;
    return sign * (exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24));
}

static void f16_is_exact_both_ways(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        float value = tuff_f16_to_f32((uint16_t)h);
        assert_int_equal(tuff_f32_bits(tuff_f16_scaled((uint16_t)h)), tuff_f32_bits(value));
        uint16_t back = tuff_f32_to_f16(value);
        double expected = f16_value((uint16_t)h);
        if (isnan(expected)) {
            if (!isnan(value) || !isnan(tuff_f16_to_f32(back)) || (back & 0x8000u) != (h & 0x8000u))
                fail_msg("NaN %04x", (unsigned)h);
        } else if ((double)value != expected || !signbit(value) != !signbit(expected) || back != h) {
            fail_msg("%04x: %g, expected %g; back %04x", (unsigned)h, (double)value, expected, back);
        }
    }
}

/* Between each two neighbours: just below the middle, the middle (to even), just above it. */
static void f16_rounds_to_nearest_even(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x7c00; h++) {
        double low = f16_value((uint16_t)h);
        double high = h == 0x7bff ? 65536.0 : f16_value((uint16_t)(h + 1));
        float middle = (float)((low + high) / 2);
        uint16_t even = (uint16_t)(h & 1 ? h + 1 : h);
        for (int sign = 0; sign < 2; sign++) {
            uint16_t s = (uint16_t)(sign ? 0x8000 : 0);
            float m = sign ? -middle : middle, zero = sign ? -0.0f : 0.0f, far = sign ? -INFINITY : INFINITY;
            if (tuff_f32_to_f16(nextafterf(m, zero)) != (h | s) || tuff_f32_to_f16(m) != (even | s) ||
                tuff_f32_to_f16(nextafterf(m, far)) != ((h + 1) | s))
                fail_msg("around %04x", (unsigned)h);
        }
    }
    assert_int_equal(tuff_f32_to_f16(1e38f), 0x7c00);
    assert_int_equal(tuff_f32_to_f16(-INFINITY), 0xfc00);
    assert_int_equal(tuff_f32_to_f16(1e-30f), 0);
    assert_int_equal(tuff_f32_to_f16(-1e-42f), 0x8000);
}

static void bf16_rounds_to_nearest_even(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        float value = tuff_bf16_to_f32((uint16_t)h);
        assert_int_equal(tuff_f32_bits(value), h << 16);
        uint16_t back = tuff_f32_to_bf16(value);
        if (isnan(value)) {
            assert_true(isnan(tuff_bf16_to_f32(back)));
            /* a payload only in the low bits must not become infinity */
            assert_true(isnan(tuff_bf16_to_f32(tuff_f32_to_bf16(tuff_bits_f32((h << 16) | 1)))));
            continue;
        }
        assert_int_equal(back, h);
        if (isinf(value)) continue;
        uint16_t even = (uint16_t)(h & 1 ? h + 1 : h);
        if (tuff_f32_to_bf16(tuff_bits_f32((h << 16) | 0x7fff)) != h ||
            tuff_f32_to_bf16(tuff_bits_f32((h << 16) | 0x8000)) != even ||
            tuff_f32_to_bf16(tuff_bits_f32((h << 16) | 0x8001)) != h + 1)
            fail_msg("around %04x", (unsigned)h);
    }
}

/* Known answers of Random123 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11). */
static void philox_gives_the_published_answers(void **state)
{
    (void)state;
    static const struct {
        uint64_t key, position;
        uint32_t step, stream, answer[4];
    } cases[] = {
        {0, 0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {UINT64_MAX, UINT64_MAX, UINT32_MAX, UINT32_MAX, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {0x299f31d0a4093822,
         0x85a308d3243f6a88,
         0x13198a2e,
         0x03707344,
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tuff_philox r = tuff_philox4x32(cases[i].key, cases[i].position, cases[i].step, cases[i].stream);
        for (int k = 0; k < 4; k++)
            assert_int_equal(r.v[k], cases[i].answer[k]);
    }
}

static void uniform_and_normal_have_their_moments(void **state)
{
    (void)state;
    enum { N = 200000 };
    double sum = 0, squares = 0, normal_sum = 0, normal_squares = 0, fourth = 0;
    for (uint64_t i = 0; i < N; i++) {
        double u = tuff_rng_uniform(7, i, 3, TUFF_STREAM_SAMPLE),
               z = tuff_rng_normal(7, i, 3, TUFF_STREAM_INIT);
        if (!(u >= 0 && u < 1) || !isfinite(z)) fail_msg("position %lu", (unsigned long)i);
        sum += u, squares += u * u;
        normal_sum += z, normal_squares += z * z, fourth += z * z * z * z;
    }
    /* Six standard errors around 1/2, 1/3, 0, 1 and 3. */
    assert_true(fabs(sum / N - 0.5) < 6 * sqrt(1.0 / 12 / N));
    assert_true(fabs(squares / N - 1.0 / 3) < 6 * sqrt(4.0 / 45 / N));
    assert_true(fabs(normal_sum / N) < 6 * sqrt(1.0 / N));
    assert_true(fabs(normal_squares / N - 1) < 6 * sqrt(2.0 / N));
    assert_true(fabs(fourth / N - 3) < 6 * sqrt(96.0 / N));
    /* A function of all its arguments. */
    double u = tuff_rng_uniform(1, 2, 3, 4);
    assert_true(u == tuff_rng_uniform(1, 2, 3, 4));
    assert_true(u != tuff_rng_uniform(2, 2, 3, 4) && u != tuff_rng_uniform(1, 3, 3, 4));
    assert_true(u != tuff_rng_uniform(1, 2, 4, 4) && u != tuff_rng_uniform(1, 2, 3, 5));
}

static void shuffle_permutes_evenly(void **state)
{
    (void)state;
    enum { N = 5, RUNS = 20000 };
    unsigned seen[N][N] = {{0}};
    for (uint32_t run = 0; run < RUNS; run++) {
        uint32_t items[N] = {0, 1, 2, 3, 4}, mask = 0;
        tuff_rng_shuffle(items, N, 11, run, TUFF_STREAM_SHUFFLE);
        for (uint32_t i = 0; i < N; i++) {
            mask |= 1u << items[i];
            seen[i][items[i]]++;
        }
        assert_int_equal(mask, 31);
    }
    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++)
            assert_true(abs((int)seen[i][k] - RUNS / N) < 6 * 57); /* sqrt(4000 * 0.8) = 57 */
    uint32_t one = 9;
    tuff_rng_shuffle(&one, 1, 1, 1, 1);
    tuff_rng_shuffle(NULL, 0, 1, 1, 1);
    assert_int_equal(one, 9);
}

static void expect_sha256(const void *data, size_t size, const char *expected)
{
    char hex[65];
    /* In one piece, and in pieces of every size around a block. */
    for (size_t piece = 1; piece <= 130; piece += 1 + piece / 5) {
        tuff_sha256 hash;
        tuff_sha256_init(&hash);
        for (size_t at = 0; at < size; at += piece)
            tuff_sha256_update(&hash, (const char *)data + at, size - at < piece ? size - at : piece);
        tuff_sha256_hex(&hash, hex);
        assert_string_equal(hex, expected);
    }
}

/* FIPS 180-4 examples and the NIST long message. */
static void sha256_gives_the_published_digests(void **state)
{
    (void)state;
    expect_sha256("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect_sha256("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect_sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
                  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    char *million = malloc(1000000);
    memset(million, 'a', 1000000);
    expect_sha256(million, 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(million);
}

static void fnv1a_gives_the_published_hashes(void **state)
{
    (void)state;
    assert_true(tuff_fnv1a("", 0) == 0xcbf29ce484222325u);
    assert_true(tuff_fnv1a("a", 1) == 0xaf63dc4c8601ec8cu);
    assert_true(tuff_fnv1a("foobar", 6) == 0x85944171f73967e8u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f16_is_exact_both_ways),
        cmocka_unit_test(f16_rounds_to_nearest_even),
        cmocka_unit_test(bf16_rounds_to_nearest_even),
        cmocka_unit_test(philox_gives_the_published_answers),
        cmocka_unit_test(uniform_and_normal_have_their_moments),
        cmocka_unit_test(shuffle_permutes_evenly),
        cmocka_unit_test(sha256_gives_the_published_digests),
        cmocka_unit_test(fnv1a_gives_the_published_hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
