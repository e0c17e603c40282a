/* A segment's attention and its gradients are the same bits, alone and among others, and what is not finite
 * in the others does not reach it: on the CPU and, where there is one, on a software Vulkan device. */
#include <math.h>
#include <string.h>
#include <tuff/device.h>
#include <tuff/graph.h>
#include <tuff/program.h>

#include "base/memory.h"
#include "base/rng.h"
#include "kit/kit.h"

enum { HQ = 4, HKV = 2, DIM = 20, COLUMNS = 7, MOST = 8, MOST_LENGTH = 420 };

static const char *device_name;
static tuff_device *device;

/* Queries and keys of each text, and where they lie among the others. */
typedef struct text {
    int64_t q_len, kv_len;
} text;

typedef struct batch {
    int n;
    const text *texts[MOST];
    int64_t q_at[MOST], kv_at[MOST], N, M; /* filled by place() */
} batch;

/* Different gaps each time; the keys lie in the opposite order. */
static void place(batch *b, int64_t gap)
{
    b->N = b->M = gap;
    for (int i = 0; i < b->n; i++) {
        b->q_at[i] = b->N;
        b->N += b->texts[i]->q_len + gap;
    }
    for (int i = b->n - 1; i >= 0; i--) {
        b->kv_at[i] = b->M;
        b->M += b->texts[i]->kv_len + 2 * gap;
    }
}

/* Element e of operand `which` of a text: the same wherever it lies. */
static float value(const text *t, int which, int64_t e)
{
    return (float)tuff_rng_normal((uint64_t)(t->q_len * 1000 + t->kv_len), (uint64_t)e, 0, (uint32_t)which);
}

enum { Q, K, V, D_O, OPERANDS };
enum { O, DQ, DK, DV, RESULTS };
static const char *const results[RESULTS] = {"o", "dq", "dk", "dv"};

static bool of_queries(bool result, int which)
{
    return result ? which == O || which == DQ : which == Q || which == D_O;
}

/* Not -1: rows of each text from here on are NaN. */
static int64_t finite_rows = -1;

/* `poison` is a text whose operands are all NaN or infinite, -1: none. Rows of no text are NaN too. */
static void run(const batch *b, int64_t right, int64_t left, int poison, float *out[RESULTS])
{
    tuff_graph *g = NULL;
    KIT_OK(tuff_graph_create(&g));
    static const char *const names[OPERANDS] = {"q", "k", "v", "d_o"};
    tuff_tensor *x[OPERANDS], *grads[3];
    for (int i = 0; i < OPERANDS; i++)
        x[i] = tuff_variable(
            g, names[i], TUFF_F32, 3,
            (int64_t[]){of_queries(false, i) ? b->N : b->M, of_queries(false, i) ? HQ : HKV, DIM});
    tuff_tensor *segments = tuff_input(g, "segments", TUFF_I32, 2, (int64_t[]){b->n + 1, 4});
    tuff_attention_params params = TUFF_ATTENTION_PARAMS_INIT;
    params.right = right;
    params.left = left;
    tuff_tensor *o = tuff_attention(g, x[Q], x[K], x[V], segments, NULL, NULL, &params);
    tuff_tensor *loss = tuff_sum(g, tuff_mul(g, o, x[D_O]), 7, false);
    tuff_graph_grad(g, loss, x, 3, grads);
    tuff_output(g, results[O], o);
    for (int i = 0; i < 3; i++)
        tuff_output(g, results[DQ + i], grads[i]);
    KIT_OK(tuff_graph_status(g));
    tuff_program *program = NULL;
    KIT_OK(tuff_program_create(device, &g, &program));

    tuff_buffer *buffers[OPERANDS] = {NULL};
    for (int i = 0; i < OPERANDS; i++) {
        bool queries = of_queries(false, i);
        int64_t rows = queries ? b->N : b->M, row = (queries ? HQ : HKV) * DIM;
        float *data = tuff_alloc_array((size_t)(rows * row), sizeof *data);
        assert_non_null(data);
        for (int64_t e = 0; e < rows * row; e++)
            data[e] = NAN;
        for (int t = 0; t < b->n; t++) {
            int64_t at = queries ? b->q_at[t] : b->kv_at[t];
            int64_t n = (queries ? b->texts[t]->q_len : b->texts[t]->kv_len) * row;
            for (int64_t e = 0; e < n; e++)
                data[at * row + e] = finite_rows >= 0 && e >= finite_rows * row ? NAN
                                     : t == poison && i != D_O                  ? (e % 3 ? NAN : INFINITY)
                                                                                : value(b->texts[t], i, e);
        }
        KIT_OK(tuff_buffer_create(device, names[i], TUFF_F32, 3, (int64_t[]){rows, queries ? HQ : HKV, DIM},
                                  &buffers[i]));
        KIT_OK(tuff_buffer_write(buffers[i], 0, data, rows * row));
        KIT_OK(tuff_program_bind(program, names[i], buffers[i]));
        tuff_free(data);
    }
    int32_t table[4 * (MOST + 1)] = {0};
    for (int t = 0; t < b->n; t++) {
        int32_t *s = table + 4 * (t + (t > 0)); /* one row is unused */
        s[0] = (int32_t)b->q_at[t];
        s[1] = (int32_t)b->texts[t]->q_len;
        s[2] = (int32_t)b->kv_at[t];
        s[3] = (int32_t)b->texts[t]->kv_len;
    }
    KIT_OK(tuff_program_input(program, "segments", table, (size_t)(b->n + 1) * 4 * sizeof *table));
    KIT_OK(tuff_program_run(program));
    for (int i = 0; i < RESULTS; i++) {
        size_t n = (size_t)((of_queries(true, i) ? b->N * HQ : b->M * HKV) * DIM);
        out[i] = tuff_alloc_array(n, sizeof **out);
        assert_non_null(out[i]);
        KIT_OK(tuff_program_output(program, results[i], out[i], n * sizeof **out));
    }
    tuff_program_destroy(&program);
    for (int i = 0; i < OPERANDS; i++)
        tuff_buffer_destroy(&buffers[i]);
}

static void free_results(float *out[RESULTS])
{
    for (int i = 0; i < RESULTS; i++)
        tuff_free(out[i]);
}

/* Text t of `b` has the bits that it has alone; rows of no text are zeros. */
static void compare(const batch *b, int t, float *const *all, const batch *alone, float *const *one,
                    const char *what)
{
    for (int i = 0; i < RESULTS; i++) {
        bool queries = of_queries(true, i);
        int64_t row = (queries ? HQ : HKV) * DIM,
                n = (queries ? b->texts[t]->q_len : b->texts[t]->kv_len) * row;
        const float *a = all[i] + (queries ? b->q_at[t] : b->kv_at[t]) * row;
        const float *c = one[i] + (queries ? alone->q_at[0] : alone->kv_at[0]) * row;
        for (int64_t e = 0; e < n; e++)
            if (memcmp(&a[e], &c[e], sizeof *a) != 0 || !isfinite(a[e]))
                fail_msg(
                    "%s, %s: %s[%lld] of text %d (%lld queries, %lld keys) is %.9g among %d and %.9g alone",
                    device_name, what, results[i], (long long)e, t, (long long)b->texts[t]->q_len,
                    (long long)b->texts[t]->kv_len, (double)a[e], b->n, (double)c[e]);
    }
}

static void gaps_are_zero(const batch *b, float *const *all)
{
    for (int i = 0; i < RESULTS; i++) {
        bool queries = of_queries(true, i);
        int64_t row = (queries ? HQ : HKV) * DIM, rows = queries ? b->N : b->M;
        for (int64_t r = 0; r < rows; r++) {
            bool inside = false;
            for (int t = 0; t < b->n; t++) {
                int64_t at = queries ? b->q_at[t] : b->kv_at[t];
                inside |= r >= at && r < at + (queries ? b->texts[t]->q_len : b->texts[t]->kv_len);
            }
            for (int64_t e = r * row; e < (r + 1) * row && !inside; e++)
                if (all[i][e] != 0)
                    fail_msg("%s: %s of row %lld, which is of no text, is %.9g", device_name, results[i],
                             (long long)r, (double)all[i][e]);
        }
    }
}

static const text texts[] = {{1, 1}, {5, 5}, {33, 33}, {1, 390}, {3, 300}, {64, 64}, {20, 70}, {2, 2}};
enum { TEXTS = sizeof texts / sizeof *texts };

static void a_text_alone_and_among_others(void **state)
{
    (void)state;
    static const struct {
        int64_t right, left;
        const char *what;
    } kinds[] = {{-1, -1, "full"}, {0, -1, "causal"}, {0, 25, "window"}};
    for (int k = 0; k < 3; k++) {
        batch b = {.n = TEXTS};
        for (int t = 0; t < TEXTS; t++)
            b.texts[t] = &texts[(t * 3 + k) % TEXTS];
        place(&b, 3);
        float *all[RESULTS], *poisoned[RESULTS];
        run(&b, kinds[k].right, kinds[k].left, -1, all);
        gaps_are_zero(&b, all);
        run(&b, kinds[k].right, kinds[k].left, 2, poisoned);
        for (int t = 0; t < TEXTS; t++) {
            batch alone = {.n = 1, .texts = {b.texts[t]}};
            float *one[RESULTS];
            place(&alone, k % 2);
            run(&alone, kinds[k].right, kinds[k].left, -1, one);
            compare(&b, t, all, &alone, one, kinds[k].what);
            if (t != 2) compare(&b, t, poisoned, &alone, one, "another text is not finite");
            free_results(one);
        }
        free_results(all);
        free_results(poisoned);
    }
}

/* On the CPU also what a query does not see of its own text is left out. Other devices multiply it by 0
 * within a tile. */
static void later_tokens_are_left_out(void **state)
{
    (void)state;
    static const text one = {70, 70};
    batch b = {.n = 1, .texts = {&one}};
    float *whole[RESULTS], *cut[RESULTS];
    place(&b, 1);
    run(&b, 0, -1, -1, whole);
    for (finite_rows = 1; finite_rows < 70; finite_rows += 17) {
        run(&b, 0, -1, -1, cut);
        for (int i = O; i <= DQ; i++) {
            size_t bytes = (size_t)(finite_rows * HQ * DIM) * sizeof(float),
                   from = (size_t)(b.q_at[0] * HQ * DIM);
            if (memcmp(whole[i] + from, cut[i] + from, bytes) != 0)
                fail_msg("%s of the first %lld queries changes with what comes after them", results[i],
                         (long long)finite_rows);
        }
        free_results(cut);
    }
    finite_rows = -1;
    free_results(whole);
}

static int open_device(unsigned threads)
{
    tuff_device_params params = TUFF_DEVICE_PARAMS_INIT;
    params.name = device_name;
    params.threads = threads;
    return tuff_device_open(&params, &device) == TUFF_OK ? 0 : -1;
}

static int open_named(void **state)
{
    (void)state;
    return open_device(0);
}

static int close_device(void **state)
{
    (void)state;
    tuff_device_destroy(&device);
    return 0;
}

/* Few threads do a text and head as a whole, for many it is cut into blocks. */
static void threads_change_no_bit(void **state)
{
    static const int64_t bands[][2] = {{-1, -1}, {0, -1}, {0, 25}, {9, 4}};
    batch b = {.n = TEXTS};
    for (int t = 0; t < TEXTS; t++)
        b.texts[t] = &texts[t];
    place(&b, 3);
    for (int k = 0; k < 4; k++) {
        float *first[RESULTS];
        for (unsigned threads = 1; threads <= 16; threads *= 4) {
            float *out[RESULTS];
            close_device(state);
            assert_int_equal(open_device(threads), 0);
            run(&b, bands[k][0], bands[k][1], -1, out);
            gaps_are_zero(&b, out);
            for (int i = 0; i < RESULTS && threads > 1; i++) {
                size_t n = (size_t)((of_queries(true, i) ? b.N * HQ : b.M * HKV) * DIM);
                if (memcmp(first[i], out[i], n * sizeof **out) != 0)
                    fail_msg("%s of band %d changes with %u threads", results[i], k, threads);
            }
            if (threads > 1)
                free_results(out);
            else
                memcpy(first, out, sizeof first);
        }
        free_results(first);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_text_alone_and_among_others)};
    const struct CMUnitTest of_host[] = {cmocka_unit_test(later_tokens_are_left_out),
                                         cmocka_unit_test(threads_change_no_bit)};
    device_name = "cpu";
    int failed = cmocka_run_group_tests_name("cpu", tests, open_named, close_device);
    failed += cmocka_run_group_tests_name("cpu alone", of_host, open_named, close_device);
    tuff_device_info found[32] = {TUFF_DEVICE_INFO_INIT};
    size_t n = 0;
    bool software = false;
    if (tuff_list_devices(found, 32, &n) == TUFF_OK)
        for (size_t i = 0; i < n && i < 32; i++)
            software |= found[i].usable && strstr(found[i].name, "llvmpipe") != NULL;
    device_name = "lavapipe";
    return software ? failed + cmocka_run_group_tests_name("lavapipe", tests, open_named, close_device)
                    : failed;
}
