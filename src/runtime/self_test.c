/* Before a device is trusted: a small product, compared with the truth. */
#include <math.h>

#include "runtime/device.h"
#include "runtime/program.h"

enum { M = 5, K = 19, N = 7 };

static float a_at(int i, int k)
{
    return (float)((i * 7 + k * 3) % 11 - 5) / 4.0f;
}
static float b_at(int k, int n)
{
    return (float)((k * 5 + n * 2) % 13 - 6) / 8.0f;
}

static tuff_status fill_buffers(tuff_buffer *a, tuff_buffer *b)
{
    float x[M * K], w[K * N];
    for (int i = 0; i < M; i++)
        for (int k = 0; k < K; k++)
            x[i * K + k] = a_at(i, k);
    for (int k = 0; k < K; k++)
        for (int n = 0; n < N; n++)
            w[k * N + n] = b_at(k, n);
    TUFF_TRY(tuff_buffer_write(a, 0, x, M * K));
    return tuff_buffer_write(b, 0, w, K * N);
}

static tuff_status compare(const float *y)
{
    for (int i = 0; i < M; i++)
        for (int n = 0; n < N; n++) {
            double want = 0;
            for (int k = 0; k < K; k++)
                want += (double)a_at(i, k) * (double)b_at(k, n);
            float got = y[i * N + n];
            if (!(fabs((double)got - want) <= 1e-5))
                return tuff_fail(TUFF_INTERNAL,
                                 "its self-test failed: a matrix product gave %g where %g is right; "
                                 "please report the device and its driver",
                                 (double)got, want);
        }
    return TUFF_OK;
}

static tuff_status run(tuff_device *device, tuff_graph **graph, tuff_buffer *a, tuff_buffer *b)
{
    tuff_program *program = NULL;
    float y[M * N];
    tuff_status status = tuff_program_create(device, graph, &program);
    if (status == TUFF_OK) status = tuff_program_bind(program, "a", a);
    if (status == TUFF_OK) status = tuff_program_bind(program, "b", b);
    if (status == TUFF_OK) status = fill_buffers(a, b);
    if (status == TUFF_OK) status = tuff_program_run(program);
    if (status == TUFF_OK) status = tuff_program_output(program, "y", y, sizeof y);
    if (status == TUFF_OK) status = compare(y);
    tuff_program_destroy(&program);
    return status;
}

tuff_status tuff_device_self_test(tuff_device *device)
{
    if (device->handle->caps.is_host) return TUFF_OK;
    tuff_graph *g = NULL;
    tuff_buffer *a = NULL, *b = NULL;
    tuff_status status = TUFF_OK;
    TUFF_GO(tuff_graph_create(&g));
    tuff_tensor *x = tuff_variable(g, "a", TUFF_F32, 2, (int64_t[]){M, K});
    tuff_tensor *w = tuff_variable(g, "b", TUFF_F32, 2, (int64_t[]){K, N});
    tuff_output(g, "y", tuff_matmul(g, x, w));
    TUFF_GO(tuff_graph_status(g));
    TUFF_GO(tuff_buffer_create(device, "a", TUFF_F32, 2, (int64_t[]){M, K}, &a));
    TUFF_GO(tuff_buffer_create(device, "b", TUFF_F32, 2, (int64_t[]){K, N}, &b));
    status = run(device, &g, a, b);
done:
    tuff_buffer_destroy(&a);
    tuff_buffer_destroy(&b);
    tuff_graph_destroy(&g);
    return status;
}
