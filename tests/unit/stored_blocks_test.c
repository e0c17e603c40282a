/* Tensors stored by the block: what graphs make of them and what they refuse, their bytes in plans and
 * buffers, and reading parts of them. */
#include "backend/cpu/kernels.h"
#include "conform/runner.h"
#include "ir/dtype.h"
#include "ir/op.h"
#include "kit/kit.h"
#include "runtime/program.h"

static tuff_graph *fresh(void)
{
    tuff_graph *g = NULL;
    KIT_OK(tuff_graph_create(&g));
    return g;
}

/* Fails unless the graph is in error with this text; destroys it. */
static void refused(tuff_graph *g, const char *part)
{
    KIT_FAILS(tuff_graph_status(g), TUFF_INVALID_ARGUMENT, part);
    tuff_graph_destroy(&g);
}

static const int64_t d4_96[] = {4, 96}, d3_256[] = {3, 256};

static void leaves_are_variables_of_whole_blocks(void **state)
{
    (void)state;
    tuff_graph *g = fresh();
    tuff_input(g, "x", TUFF_Q8_0, 2, d4_96);
    refused(g, "x: inputs are no q8_0");
    g = fresh();
    tuff_variable(g, "x", TUFF_Q8_0, 2, (int64_t[]){4, 100});
    refused(g, "x: rows of q8_0 are whole blocks of 32 elements, but they have 100");
    g = fresh();
    tuff_variable(g, "x", TUFF_Q4_K, 0, NULL);
    refused(g, "blocks of 256 elements, but they have 1");
}

static void views_keep_blocks_whole(void **state)
{
    (void)state;
    tuff_graph *g = fresh();
    tuff_tensor *x = tuff_variable(g, "x", TUFF_Q5_0, 2, d4_96);
    tuff_tensor *middle = tuff_slice(g, tuff_slice(g, x, 0, 1, 2), 1, 32, 32);
    assert_int_equal(middle->offset, 96 + 32);
    assert_true(tuff_tensor_whole_blocks(tuff_transpose(g, middle)));
    assert_true(tuff_tensor_whole_blocks(tuff_reshape(g, x, 3, (int64_t[]){4, 3, 32})));
    assert_true(tuff_tensor_whole_blocks(tuff_reshape(g, x, 3, (int64_t[]){2, 2, 96})));
    assert_true(tuff_tensor_whole_blocks(tuff_expand(g, x, 3, (int64_t[]){5, 4, 96})));
    assert_int_equal(tuff_tensor_bytes(x), 4 * 3 * 22);
    KIT_OK(tuff_graph_status(g));
    tuff_slice(g, x, 1, 16, 32);
    refused(g, "slice: [4, 96] of q5_0 would become [4, 32], which cuts its blocks of 32 elements");
    g = fresh();
    tuff_slice(g, tuff_variable(g, "x", TUFF_Q5_0, 2, d4_96), 1, 0, 48);
    refused(g, "cuts its blocks");
    g = fresh();
    tuff_reshape(g, tuff_variable(g, "x", TUFF_Q4_K, 2, d3_256), 2, (int64_t[]){6, 128});
    refused(g, "reshape: [3, 256] of q4_k would become [6, 128]");
}

static void nothing_makes_them(void **state)
{
    (void)state;
    tuff_graph *g = fresh();
    tuff_copy(g, tuff_variable(g, "x", TUFF_F32, 2, d4_96), TUFF_Q8_0);
    refused(g, "copy: nothing makes q8_0");
    g = fresh();
    tuff_output(g, "y", tuff_variable(g, "x", TUFF_Q8_0, 2, d4_96));
    refused(g, "copy: nothing makes q8_0");
    g = fresh();
    tuff_tensor *x = tuff_variable(g, "x", TUFF_Q8_0, 2, d4_96);
    tuff_add(g, x, x);
    refused(g, "q8_0");
    g = fresh();
    tuff_tensor *w = tuff_variable(g, "w", TUFF_MXFP4, 2, d4_96), *grad = NULL;
    tuff_tensor *y = tuff_matmul(g, tuff_variable(g, "a", TUFF_F32, 2, (int64_t[]){2, 4}), w);
    tuff_graph_grad(g, tuff_sum(g, y, 3, false), &w, 1, &grad);
    refused(g, "stored as mxfp4");
}

/* What a rule of an operation forgot, verify finds. */
static void verify_holds_results_to_it(void **state)
{
    (void)state;
    tuff_graph *g = fresh();
    tuff_tensor *y = tuff_copy(g, tuff_variable(g, "x", TUFF_Q8_0, 2, d4_96), TUFF_F32);
    tuff_tensor *z = tuff_scale(g, y, 2);
    KIT_OK(tuff_graph_verify(g));
    z->dtype = TUFF_Q8_0;
    KIT_FAILS(tuff_graph_verify(g), TUFF_INVALID_ARGUMENT, "would make q8_0");
    tuff_graph_destroy(&g);
    g = fresh();
    tuff_tensor *view = tuff_slice(g, tuff_variable(g, "x", TUFF_Q8_0, 2, d4_96), 0, 0, 2);
    view->offset = 16;
    KIT_FAILS(tuff_graph_verify(g), TUFF_INTERNAL, "cuts blocks of q8_0");
    tuff_graph_destroy(&g);
}

/* Every run of elements that begins and ends anywhere is what decoding the whole gives. */
static void parts_are_read_as_the_whole_is(void **state)
{
    (void)state;
    enum { N = 512, MOST = N / 256 * 210 + N };
    uint8_t bytes[MOST];
    double values[N];
    float part[N];
    for (int d = TUFF_Q4_0; d < TUFF_DTYPE_COUNT; d++) {
        tuff_data_blocks((tuff_dtype)d, N, 7, 0, bytes, values);
        for (int64_t begin = 0; begin < N; begin += 7)
            for (int64_t end = begin; end <= N; end += begin % 2 ? 13 : 32) {
                tuff_load_f32(bytes, (tuff_dtype)d, begin, end - begin, part);
                for (int64_t i = begin; i < end; i++)
                    if ((double)part[i - begin] != values[i])
                        fail_msg("%s, elements %lld to %lld: element %lld is %g, expected %g",
                                 tuff_dtype_name((tuff_dtype)d), (long long)begin, (long long)end,
                                 (long long)i, (double)part[i - begin], values[i]);
            }
    }
}

static void buffers_take_whole_blocks(void **state)
{
    (void)state;
    tuff_device *device = kit_cpu();
    tuff_buffer *b = NULL;
    KIT_FAILS(tuff_buffer_create(device, "b", TUFF_Q4_0, 2, (int64_t[]){2, 40}, &b), TUFF_INVALID_ARGUMENT,
              "buffer b: rows of q4_0 are whole blocks of 32 elements, but it is [2, 40]");
    KIT_OK(tuff_buffer_create(device, "b", TUFF_Q4_0, 2, (int64_t[]){2, 64}, &b));
    uint8_t bytes[4 * 18], read[2 * 18];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    KIT_OK(tuff_buffer_write(b, 0, bytes, 128));
    KIT_OK(tuff_buffer_read(b, 32, read, 64));
    assert_memory_equal(read, bytes + 18, sizeof read);
    KIT_FAILS(tuff_buffer_read(b, 16, read, 32), TUFF_INVALID_ARGUMENT, "no whole blocks of 32");
    KIT_FAILS(tuff_buffer_write(b, 0, bytes, 48), TUFF_INVALID_ARGUMENT, "no whole blocks of 32");
    tuff_buffer_destroy(&b);
    tuff_device_destroy(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_are_variables_of_whole_blocks),
        cmocka_unit_test(views_keep_blocks_whole),
        cmocka_unit_test(nothing_makes_them),
        cmocka_unit_test(verify_holds_results_to_it),
        cmocka_unit_test(parts_are_read_as_the_whole_is),
        cmocka_unit_test(buffers_take_whole_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
