#include "backend/cpu/gemm_plain.h"
#include "backend/cpu/kernels.h"

#ifdef TUFF_HAVE_ONEDNN
#include <dnnl.h>

/* oneDNN wants each operand row-major, plain or transposed, with a leading dimension no shorter than a row;
 * where a dimension is 1 the given stride may be anything. */
static char layout(int64_t rows, int64_t columns, int64_t rs, int64_t cs, int64_t *out_ld)
{
    if (cs == 1 || columns == 1) {
        *out_ld = rows == 1 || rs < columns ? columns : rs;
        if (cs == 1 || rs >= 1) return 'N';
    }
    *out_ld = columns == 1 || cs < rows ? rows : cs;
    return 'T';
}

void tuff_gemm(int64_t M, int64_t N, int64_t K, float alpha, const float *a, int64_t ars, int64_t acs,
               const float *b, int64_t brs, int64_t bcs, float beta, float *c, int64_t crs)
{
    int64_t lda, ldb;
    char ta = layout(M, K, ars, acs, &lda), tb = layout(K, N, brs, bcs, &ldb);
    int64_t ldc = crs < N ? N : crs;
    /* it packs into memory of its own: without any left, the loop that needs none gives the same result
     * slowly */
    if (dnnl_sgemm(ta, tb, M, N, K, alpha, a, lda, b, ldb, beta, c, ldc) == dnnl_success) return;
    tuff_gemm_plain(M, N, K, alpha, a, ars, acs, b, brs, bcs, beta, c, crs);
}

#else

void tuff_gemm(int64_t M, int64_t N, int64_t K, float alpha, const float *a, int64_t ars, int64_t acs,
               const float *b, int64_t brs, int64_t bcs, float beta, float *c, int64_t crs)
{
    tuff_gemm_plain(M, N, K, alpha, a, ars, acs, b, brs, bcs, beta, c, crs);
}

#endif
