#define _POSIX_C_SOURCE 200809L
/* Search: every vector is looked at, in whatever pieces, and the best are told in order. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/half.h"
#include "base/rng.h"
#include "embed/index.h"
#include "kit/files.h"
#include "runtime/device.h"
#include "runtime/session.h"

enum { ROWS = 1000, D = 24, QUERIES = 3 };

static tuff_device *device;
static float vectors[ROWS * D], queries[QUERIES * D];

static int open_device(void **state)
{
    (void)state;
    for (int i = 0; i < ROWS * D; i++)
        vectors[i] = (float)tuff_rng_uniform(5, (uint64_t)i, 0, 0) - 0.5f;
    for (int i = 0; i < QUERIES * D; i++)
        queries[i] = (float)tuff_rng_uniform(6, (uint64_t)i, 0, 0) - 0.5f;
    memcpy(vectors + 700 * D, vectors + 300 * D, D * sizeof *vectors); /* twice the same */
    device = kit_cpu();
    return 0;
}

static int close_device(void **state)
{
    (void)state;
    tuff_device_destroy(&device);
    return 0;
}

/* A .npy file of these bytes. */
static const char *array_of(const char *name, const char *type, int rows, int columns, const void *data,
                            size_t size)
{
    static char path[512];
    tuff_buf bytes = {0};
    char header[129];
    memset(header, ' ', 128);
    memcpy(header, "\x93NUMPY\x01\x00\x76\x00", 10);
    int n = snprintf(header + 10, 110, "{'descr': '%s', 'fortran_order': False, 'shape': (%d, %d), }", type,
                     rows, columns);
    header[10 + n] = ' ';
    header[127] = '\n';
    tuff_buf_bytes(&bytes, header, 128);
    tuff_buf_bytes(&bytes, data, size);
    snprintf(path, sizeof path, "%s", kit_path(name));
    kit_write_file(path, bytes.data, bytes.size);
    tuff_buf_free(&bytes);
    return path;
}

/* By looking at all, the best first, of equal ones the lower row. */
static void expect_hits(const tuff_hit *hits, size_t k, const double *scores, double tolerance)
{
    for (size_t i = 0; i < k; i++) {
        assert_true(fabs((double)hits[i].score - scores[hits[i].row]) <= tolerance);
        if (i) assert_true(hits[i].score <= hits[i - 1].score);
        if (i && hits[i].score == hits[i - 1].score) assert_true(hits[i].row > hits[i - 1].row);
        size_t better = 0;
        for (size_t row = 0; row < ROWS; row++)
            better += scores[row] > (double)hits[i].score + tolerance;
        assert_true(better <= i);
    }
}

static void dot_products(const float *query, const float *rows, double *scores)
{
    for (int r = 0; r < ROWS; r++) {
        scores[r] = 0;
        for (int i = 0; i < D; i++)
            scores[r] += (double)query[i] * (double)rows[r * D + i];
    }
}

static void numbers_are_found_in_any_pieces(void **state)
{
    (void)state;
    static const tuff_index_limits limits[] = {
        {1 << 20, 1 << 30}, {5000, 1 << 30}, {5000, 0}, {1 << 20, 0}, {1, 0}};
    static const size_t ks[] = {1, 10, ROWS};
    static tuff_hit first[QUERIES * ROWS], hits[QUERIES * ROWS];
    const char *path = array_of("f32.npy", "<f4", ROWS, D, vectors, sizeof vectors);
    for (size_t k = 0; k < 3; k++)
        for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
            if (limits[i].piece_bytes == 1 && ks[k] == ROWS)
                continue; /* a vector at a time: once is enough */
            tuff_index *index = NULL;
            double scores[ROWS];
            KIT_OK(tuff_index_open_within(path, device, &limits[i], &index));
            assert_int_equal(tuff_index_count(index), ROWS);
            assert_int_equal(tuff_index_dimensions(index), D);
            KIT_OK(tuff_index_search(index, queries, QUERIES, ks[k], NULL, i ? hits : first));
            KIT_OK(tuff_index_search(index, queries, QUERIES, ks[k], NULL, hits));
            assert_memory_equal(hits, first, QUERIES * ks[k] * sizeof *hits); /* the same bits */
            for (size_t q = 0; q < QUERIES; q++) {
                dot_products(queries + q * D, vectors, scores);
                expect_hits(hits + q * ks[k], ks[k], scores, 1e-6);
            }
            tuff_index_destroy(&index);
        }
}

/* Each number of hits is a program of its own: few of them stay, and those that went give the same again. */
static void any_numbers_of_hits_take_little(void **state)
{
    (void)state;
    enum { MOST = 300 };
    static tuff_hit first[MOST + 1][MOST], again[MOST];
    tuff_index *index = NULL;
    KIT_OK(tuff_index_open(array_of("hits.npy", "<f4", ROWS, D, vectors, sizeof vectors), device, &index));
    uint64_t live = 0;
    for (size_t k = 1; k <= MOST; k++) {
        KIT_OK(tuff_index_search(index, queries, 1, k, NULL, first[k]));
        if (k == TUFF_SESSION_PROGRAMS) live = kit_live();
        assert_int_equal(device->live_programs, k < TUFF_SESSION_PROGRAMS ? k : TUFF_SESSION_PROGRAMS);
    }
    for (size_t k = 1; k <= MOST; k++) {
        KIT_OK(tuff_index_search(index, queries, 1, k, NULL, again));
        assert_memory_equal(again, first[k], k * sizeof *again);
    }
    assert_int_equal(device->live_programs, TUFF_SESSION_PROGRAMS);
    assert_true(kit_live() <= live + 8);
    tuff_index_destroy(&index);
    assert_int_equal(device->live_programs, 0);
}

static void other_types_are_searched(void **state)
{
    (void)state;
    static uint16_t halves[ROWS * D];
    static int8_t bytes[ROWS * D];
    static uint8_t bits[ROWS * D / 8];
    static float rounded[ROWS * D];
    tuff_index *index = NULL;
    tuff_hit hits[20];
    double scores[ROWS];

    for (int i = 0; i < ROWS * D; i++)
        rounded[i] = tuff_f16_to_f32(halves[i] = tuff_f32_to_f16(vectors[i]));
    KIT_OK(tuff_index_open(array_of("f16.npy", "<f2", ROWS, D, halves, sizeof halves), device, &index));
    KIT_OK(tuff_index_search(index, queries, 1, 20, NULL, hits));
    dot_products(queries, rounded, scores);
    expect_hits(hits, 20, scores, 1e-6);
    tuff_index_destroy(&index);

    for (int r = 0; r < ROWS; r++) {
        double norm = 0;
        for (int i = 0; i < D; i++) {
            bytes[r * D + i] = (int8_t)lrintf(200 * vectors[r * D + i]);
            norm += (double)bytes[r * D + i] * bytes[r * D + i];
        }
        for (int i = 0; i < D; i++)
            rounded[r * D + i] = (float)(bytes[r * D + i] / sqrt(norm));
    }
    KIT_OK(tuff_index_open(array_of("int8.npy", "|i1", ROWS, D, bytes, sizeof bytes), device, &index));
    KIT_OK(tuff_index_search(index, queries, 1, 20, NULL, hits));
    dot_products(queries, rounded, scores);
    expect_hits(hits, 20, scores, 1e-6);
    tuff_index_destroy(&index);

    for (int i = 0; i < ROWS * D; i++)
        bits[i / 8] |= (uint8_t)((vectors[i] > 0) << (7 - i % 8));
    for (int r = 0; r < ROWS; r++) {
        int same = 0;
        for (int i = 0; i < D; i++)
            same += (vectors[r * D + i] > 0) == (queries[i] > 0);
        scores[r] = 1 - 2 * (double)(D - same) / D;
    }
    KIT_OK(tuff_index_open(array_of("bits.npy", "|u1", ROWS, D / 8, bits, sizeof bits), device, &index));
    assert_int_equal(tuff_index_dimensions(index), D);
    KIT_OK(tuff_index_search(index, queries, 1, 20, NULL, hits));
    expect_hits(hits, 20, scores, 1e-7);
    tuff_index_destroy(&index);
}

static void bad_indexes_are_refused(void **state)
{
    (void)state;
    tuff_index *index = NULL;
    tuff_hit hits[4];
    KIT_FAILS(tuff_index_open(kit_path("none.npy"), device, &index), TUFF_NOT_FOUND, "none.npy");
    assert_null(index);
    KIT_FAILS(tuff_index_open(array_of("i32.npy", "<i4", 2, D, vectors, 2 * D * 4), device, &index),
              TUFF_UNSUPPORTED, "its numbers are <i4");
    KIT_FAILS(tuff_index_open(array_of("short.npy", "<f4", 3, D, vectors, 2 * D * 4), device, &index),
              TUFF_BAD_FORMAT, "short.npy");
    float wrong[2 * D] = {0};
    wrong[D + 3] = NAN;
    KIT_FAILS(tuff_index_open(array_of("nan.npy", "<f4", 2, D, wrong, sizeof wrong), device, &index),
              TUFF_NOT_FINITE, "vector 1 has a number that is not finite");
    KIT_OK(tuff_index_open(array_of("two.npy", "<f4", 2, D, vectors, 2 * D * 4), device, &index));
    KIT_FAILS(tuff_index_search(index, queries, 1, 3, NULL, hits), TUFF_INVALID_ARGUMENT,
              "3 hits are asked for of 2 vectors");
    KIT_FAILS(tuff_index_search(index, queries, 1, 0, NULL, hits), TUFF_INVALID_ARGUMENT, "expected 1 to 2");
    KIT_OK(tuff_index_search(index, NULL, 0, 1, NULL, NULL));
    tuff_index_destroy(&index);
}

/* Nothing that looks at the name sees it: only reading tells. A mapping of it would end the process. */
static void a_file_that_is_cut_short_is_an_error(void **state)
{
    (void)state;
    enum { MANY = 100000 };
    static uint8_t bits[MANY * D / 8];
    static float many[MANY * D];
    const tuff_index_limits passing = {1 << 16, 0};
    for (int i = 0; i < 2; i++) {
        const char *path = i ? array_of("cut1.npy", "|u1", MANY, D / 8, bits, sizeof bits)
                             : array_of("cut0.npy", "<f4", MANY, D, many, sizeof many);
        tuff_index *index = NULL;
        tuff_hit hits[3];
        KIT_OK(tuff_index_open_within(path, device, &passing, &index));
        KIT_OK(tuff_index_search(index, queries, 1, 3, NULL, hits));
        int fd = open(path, O_WRONLY);
        assert_true(fd >= 0 && unlink(path) == 0 && ftruncate(fd, 8192) == 0 && close(fd) == 0);
        KIT_FAILS(tuff_index_search(index, queries, 1, 3, NULL, hits), TUFF_IO,
                  "was cut short after it was opened");
        tuff_index_destroy(&index);
    }
}

static tuff_index *index_of(const float *of, int64_t n)
{
    tuff_index *index = NULL;
    KIT_OK(tuff_index_create(of, n, D, device, &index));
    return index;
}

/* One that grows and shrinks finds what one of the same vectors finds. */
static void vectors_in_memory_come_and_go(void **state)
{
    (void)state;
    tuff_hit hits[20], want[20];
    tuff_index *index = index_of(NULL, 0), *file = NULL;
    assert_int_equal(tuff_index_count(index), 0);
    assert_int_equal(tuff_index_dimensions(index), D);
    KIT_FAILS(tuff_index_search(index, queries, 1, 1, NULL, hits), TUFF_INVALID_ARGUMENT, "of 0 vectors");
    float *copy = tuff_alloc_array((size_t)ROWS * D, sizeof *copy);
    memcpy(copy, vectors, sizeof vectors);
    KIT_OK(tuff_index_add(index, copy, 100));
    KIT_OK(tuff_index_search(index, queries, 1, 20, NULL, hits));
    KIT_OK(tuff_index_add(index, copy + (size_t)100 * D, ROWS - 100));
    tuff_free(copy); /* it has its own */
    assert_int_equal(tuff_index_count(index), ROWS);
    KIT_OK(tuff_index_open(array_of("same.npy", "<f4", ROWS, D, vectors, sizeof vectors), device, &file));
    KIT_OK(tuff_index_search(file, queries, 1, 20, NULL, want));
    KIT_OK(tuff_index_search(index, queries, 1, 20, NULL, hits));
    assert_memory_equal(hits, want, sizeof hits);

    /* the best two go, one of them named twice: the others move up */
    const int64_t rows[] = {want[1].row, want[0].row, want[1].row};
    KIT_OK(tuff_index_remove(index, rows, 3));
    assert_int_equal(tuff_index_count(index), ROWS - 2);
    KIT_OK(tuff_index_search(index, queries, 1, 18, NULL, hits));
    for (int i = 0; i < 18; i++) {
        const int64_t was = want[i + 2].row;
        assert_int_equal(hits[i].row, was - (was > rows[0]) - (was > rows[1]));
        assert_true(hits[i].score == want[i + 2].score);
    }
    KIT_OK(tuff_index_remove(index, NULL, 0));
    KIT_OK(tuff_index_add(index, NULL, 0));

    /* what is wrong changes nothing */
    KIT_FAILS(tuff_index_remove(index, (int64_t[]){0, ROWS - 2}, 2), TUFF_INVALID_ARGUMENT,
              "row 998 is to be removed of an index of 998 vectors");
    float wrong[2 * D] = {0};
    wrong[D + 1] = NAN;
    KIT_FAILS(tuff_index_add(index, wrong, 2), TUFF_NOT_FINITE, "vector 1 has a number that is not finite");
    KIT_FAILS(tuff_index_add(index, wrong, -1), TUFF_INVALID_ARGUMENT, "-1 vectors");
    assert_int_equal(tuff_index_count(index), ROWS - 2);
    KIT_OK(tuff_index_search(index, queries, 1, 18, NULL, want));
    assert_memory_equal(hits, want, 18 * sizeof *hits);
    KIT_FAILS(tuff_index_add(file, vectors, 1), TUFF_UNSUPPORTED, "an index of a file does not change");
    KIT_FAILS(tuff_index_remove(file, rows, 1), TUFF_UNSUPPORTED, "tuff_index_create makes one that does");
    tuff_index_destroy(&index);
    tuff_index_destroy(&file);
    KIT_FAILS(tuff_index_create(wrong, 2, D, device, &index), TUFF_NOT_FINITE, "vector 1");
    KIT_FAILS(tuff_index_create(wrong, 2, 0, device, &index), TUFF_INVALID_ARGUMENT,
              "2 vectors of 0 numbers");
}

static tuff_status come_and_go(void *user)
{
    tuff_hit hits[2];
    tuff_index *index = NULL;
    tuff_status status = tuff_index_create(vectors, 3, D, user, &index);
    if (status == TUFF_OK) status = tuff_index_add(index, vectors, 100);
    if (status == TUFF_OK) status = tuff_index_remove(index, (int64_t[]){1}, 1);
    if (status == TUFF_OK) status = tuff_index_search(index, queries, 1, 2, NULL, hits);
    tuff_index_destroy(&index);
    return status;
}

static void memory_may_run_out(void **state)
{
    (void)state;
    assert_true(kit_for_each_allocation_failure(come_and_go, device) > 5);
}

static void records_are_found_by_number(void **state)
{
    (void)state;
    const char *path = kit_path("records.txt");
    char *texts[3];
    kit_write_file(path, "zero\none\ntwo\n", 13);
    KIT_OK(tuff_record_texts(path, NULL, (int64_t[]){2, 0, 2}, 3, texts));
    assert_string_equal(texts[0], "two");
    assert_string_equal(texts[1], "zero");
    assert_string_equal(texts[2], "two");
    for (int i = 0; i < 3; i++)
        tuff_free(texts[i]);
    KIT_FAILS(tuff_record_texts(path, NULL, (int64_t[]){1, 3}, 2, texts), TUFF_INVALID_ARGUMENT,
              "has 3 records; record 3 is asked for");
    assert_null(texts[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_found_in_any_pieces),
        cmocka_unit_test(any_numbers_of_hits_take_little),
        cmocka_unit_test(other_types_are_searched),
        cmocka_unit_test(bad_indexes_are_refused),
        cmocka_unit_test(a_file_that_is_cut_short_is_an_error),
        cmocka_unit_test(records_are_found_by_number),
        cmocka_unit_test(vectors_in_memory_come_and_go),
        cmocka_unit_test(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
