/* What a failing run saw, as files: NumPy's .npy for tensors, .spv for kernels. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "conform/runner.h"
#include "ir/dtype.h"

const char *tuff_check_name(const tuff_case_run *run, size_t index, char text[64])
{
    const tuff_case_check *check = &run->checks[index];
    if (check->leaf >= 0)
        snprintf(text, 64, "gradient of leaf %d", check->leaf);
    else
        snprintf(text, 64, "result %zu", index);
    return text;
}

/* NumPy knows no bfloat16 and no blocks: those values are widened, which changes none. */
static const char *descriptor(tuff_dtype dtype)
{
    switch (dtype) {
    case TUFF_F16:
        return "<f2";
    case TUFF_I32:
        return "<i4";
    case TUFF_U32:
        return "<u4";
    default:
        return "<f4";
    }
}

/* Magic, version 1.0, a two-byte length, a Python dictionary that ends at a multiple of 64 bytes. */
static void npy_header(tuff_buf *out, const char *type, const tuff_tensor *x)
{
    tuff_buf_bytes(out, "\x93NUMPY\x01\x00\x00\x00", 10);
    tuff_buf_printf(out, "{'descr': '%s', 'fortran_order': False, 'shape': (", type);
    for (int i = 0; i < x->shape.rank; i++)
        tuff_buf_printf(out, "%lld, ", (long long)x->shape.dim[i]);
    tuff_buf_text(out, "), }");
    while (!out->failed && (out->size + 1) % 64 != 0)
        tuff_buf_char(out, ' ');
    tuff_buf_char(out, '\n');
    if (out->failed) return;
    out->data[8] = (char)((out->size - 10) & 255);
    out->data[9] = (char)((out->size - 10) >> 8);
}

static tuff_status write_into(const char *directory, const char *name, const void *data, size_t size)
{
    char *path = tuff_path_join(directory, name);
    if (path == NULL) return tuff_fail_memory("a path");
    tuff_status status = tuff_write_file(path, data, size);
    tuff_free(path);
    return status;
}

/* `exact`: as doubles; else rounded to the tensor's own type. */
static tuff_status write_values(const char *directory, const char *name, const tuff_tensor *x,
                                const double *values, bool exact)
{
    int64_t n = tuff_tensor_count(x);
    tuff_dtype dtype = x->dtype == TUFF_BF16 || tuff_dtype_is_block(x->dtype) ? TUFF_F32 : x->dtype;
    size_t size = (size_t)n * (exact ? sizeof(double) : tuff_dtype_size(dtype));
    void *encoded = exact ? NULL : tuff_alloc(size + 1);
    if (!exact && encoded == NULL) return tuff_fail_memory("a .npy file");
    if (!exact) tuff_data_encode(dtype, values, encoded, n);
    tuff_buf file = {0};
    npy_header(&file, exact ? "<f8" : descriptor(dtype), x);
    tuff_buf_bytes(&file, exact ? (const void *)values : encoded, size);
    tuff_status status =
        file.failed ? tuff_fail_memory("a .npy file") : write_into(directory, name, file.data, file.size);
    tuff_free(encoded);
    tuff_buf_free(&file);
    return status;
}

static tuff_status write_check(const char *directory, const tuff_case_run *run, size_t index,
                               const tuff_expected *expected, const uint8_t *result)
{
    const tuff_tensor *x = run->checks[index].tensor;
    char name[64], file[96];
    tuff_check_name(run, index, name);
    for (char *at = name; *at != '\0'; at++)
        if (*at == ' ') *at = '_';
    int64_t n = tuff_tensor_count(x);
    if (result != NULL) {
        double *values = tuff_alloc_array((size_t)n + 1, sizeof *values);
        if (values == NULL) return tuff_fail_memory("a .npy file");
        tuff_data_decode(x->dtype, result, values, n);
        snprintf(file, sizeof file, "%s.npy", name);
        tuff_status status = write_values(directory, file, x, values, false);
        tuff_free(values);
        TUFF_TRY(status);
    }
    snprintf(file, sizeof file, "%s.expected.npy", name);
    return expected != NULL ? write_values(directory, file, x, expected->want[index], true) : TUFF_OK;
}

tuff_status tuff_dump_run(const char *directory, const tuff_case_run *run, const tuff_expected *expected,
                          const uint8_t *const *results)
{
    TUFF_TRY(tuff_make_directories(directory));
    for (size_t i = 0; i < run->n_leaves; i++) {
        char name[32];
        snprintf(name, sizeof name, "leaf_%zu.npy", i);
        TUFF_TRY(write_values(directory, name, run->leaves[i].tensor, run->leaves[i].values, false));
    }
    for (size_t i = 0; i < run->n_checks; i++)
        TUFF_TRY(write_check(directory, run, i, expected, results[i]));
    return TUFF_OK;
}

tuff_status tuff_dump_kernels(const char *directory, tuff_backend_device *device, const tuff_blame *blame)
{
    if (device->backend->kernel == NULL) return TUFF_OK;
    TUFF_TRY(tuff_make_directories(directory));
    for (size_t i = 0; i < blame->n_launches; i++) {
        tuff_backend_kernel kernel;
        TUFF_TRY(device->backend->kernel(device, &blame->launches[i].dispatch, &kernel));
        char hash[65], name[96];
        tuff_sha256_hex_of(kernel.spirv, kernel.spirv_bytes, hash);
        snprintf(name, sizeof name, "%.16s.spv", hash);
        TUFF_TRY(write_into(directory, name, kernel.spirv, kernel.spirv_bytes));
    }
    return TUFF_OK;
}
