/* Graphs of tensor operations, and their gradients.
 *
 * Builders read like mathematics: y = tuff_add(g, tuff_matmul(g, x, w), b). Tensors have rank 0 to 4, are
 * row-major, and may be views with strides. A graph remembers its first error: builders on a failed graph
 * return NULL and accept NULL, so a chain of calls needs one check at the end (tuff_graph_status, or
 * compiling the graph). Everything a builder returns belongs to its graph, and is an error in any other.
 * Thread-safety: one graph belongs to one thread at a time.
 *
 * Shapes below are written [B, T, C]. Unless said otherwise tensors are f32, results are contiguous f32, and
 * the operation is differentiable with respect to its float inputs. */
#ifndef TUFF_GRAPH_H
#define TUFF_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tuff/dtype.h>
#include <tuff/status.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TUFF_MAX_RANK 4

typedef struct tuff_graph tuff_graph;
typedef struct tuff_tensor tuff_tensor;

/* Errors: TUFF_OUT_OF_MEMORY. */
TUFF_API TUFF_MUST_USE tuff_status tuff_graph_create(tuff_graph **out_graph);
TUFF_API void tuff_graph_destroy(tuff_graph **graph);

/* The first error of any builder, with its text as the thread's error message; TUFF_OK when there is none. */
TUFF_API TUFF_MUST_USE tuff_status tuff_graph_status(const tuff_graph *graph);

/* ---- leaves and results ---- */

/* A small tensor that the host writes before every run: token ids, positions, learning rate, seeds. */
TUFF_API tuff_tensor *tuff_input(tuff_graph *g, const char *name, tuff_dtype dtype, int rank,
                                 const int64_t *dims);

/* A tensor that outlives runs: weights, optimizer state, caches. Bound by name to a buffer when a program is
 * made. Of a block type its last axis is whole blocks; views of it keep them whole, and tuff_matmul (as b),
 * tuff_matmul_grouped (as b), tuff_embedding (as table) and tuff_copy read it. */
TUFF_API tuff_tensor *tuff_variable(tuff_graph *g, const char *name, tuff_dtype dtype, int rank,
                                    const int64_t *dims);

/* Makes x readable by the host under `name` after every run; a view, a leaf or what is updated in place is
 * copied at this point of the graph. A name twice is an error. */
TUFF_API void tuff_output(tuff_graph *g, const char *name, tuff_tensor *x);

/* Names a result, for dumps, profiles and error texts. The text is copied. */
TUFF_API void tuff_set_name(tuff_graph *g, tuff_tensor *x, const char *name);

TUFF_API int tuff_tensor_rank(const tuff_tensor *x);
TUFF_API int64_t tuff_tensor_dim(const tuff_tensor *x, int axis); /* axis < 0 counts from the last */
TUFF_API tuff_dtype tuff_tensor_dtype(const tuff_tensor *x);

/* Gradients of `loss`, one f32 element, with respect to `wrt[0..n)`, into out_grads[0..n): f32 tensors of the
 * same shapes. They may be views, and two may be the same tensor. All NULL when the graph fails: asking for
 * the gradient through an operation without a backward rule, or of a tensor that the loss does not depend on,
 * is an error. */
TUFF_API void tuff_graph_grad(tuff_graph *g, tuff_tensor *loss, tuff_tensor *const *wrt, size_t n,
                              tuff_tensor **out_grads);

/* x, which gradients take for a constant: none goes through it. A view. */
TUFF_API tuff_tensor *tuff_detach(tuff_graph *g, tuff_tensor *x);

/* ---- views: no memory is moved ---- */

/* The same elements in row-major order under other dims; one dim may be -1. A view whose strides cannot be
 * expressed under the new dims is copied first. */
TUFF_API tuff_tensor *tuff_reshape(tuff_graph *g, tuff_tensor *x, int rank, const int64_t *dims);
/* Result axis i is x's axis axes[i]; axes has x's rank entries. */
TUFF_API tuff_tensor *tuff_permute(tuff_graph *g, tuff_tensor *x, const int *axes);
/* Exchanges the last two axes. */
TUFF_API tuff_tensor *tuff_transpose(tuff_graph *g, tuff_tensor *x);
/* Elements start..start+length of one axis. */
TUFF_API tuff_tensor *tuff_slice(tuff_graph *g, tuff_tensor *x, int axis, int64_t start, int64_t length);
/* Repeats axes of length 1 (and adds leading axes) up to dims, with stride 0. */
TUFF_API tuff_tensor *tuff_expand(tuff_graph *g, tuff_tensor *x, int rank, const int64_t *dims);

/* ---- copies and fills ---- */

/* A contiguous copy in `dtype`: also the cast between f32, f16 and bf16 (nearest even), and from a block type
 * to these, exact in f32. */
TUFF_API tuff_tensor *tuff_copy(tuff_graph *g, tuff_tensor *x, tuff_dtype dtype);
/* A tensor of one value. */
TUFF_API tuff_tensor *tuff_fill(tuff_graph *g, double value, int rank, const int64_t *dims);
/* x placed at `start` along `axis` into zeros of length `length`: the transpose of tuff_slice. */
TUFF_API tuff_tensor *tuff_pad(tuff_graph *g, tuff_tensor *x, int axis, int64_t start, int64_t length);

/* Tensors xs[0..n) side by side along `axis`, in their order: f32, i32 or u32, all of one type, with the same
 * dims along all other axes. */
TUFF_API tuff_tensor *tuff_concat(tuff_graph *g, tuff_tensor *const *xs, size_t n, int axis);

/* ---- elementwise ---- */

/* Broadcast as in NumPy: axes aligned at the last, length 1 repeats. */
TUFF_API tuff_tensor *tuff_add(tuff_graph *g, tuff_tensor *a, tuff_tensor *b);
TUFF_API tuff_tensor *tuff_mul(tuff_graph *g, tuff_tensor *a, tuff_tensor *b);
TUFF_API tuff_tensor *tuff_sub(tuff_graph *g, tuff_tensor *a, tuff_tensor *b);
TUFF_API tuff_tensor *tuff_div(tuff_graph *g, tuff_tensor *a, tuff_tensor *b);
/* NaN where an operand is NaN. Where both are equal each takes half of the gradient. */
TUFF_API tuff_tensor *tuff_maximum(tuff_graph *g, tuff_tensor *a, tuff_tensor *b);
TUFF_API tuff_tensor *tuff_minimum(tuff_graph *g, tuff_tensor *a, tuff_tensor *b);
/* 1 where a > b, 0.5 where they are equal, else 0; NaN where an operand is NaN. Not differentiable. */
TUFF_API tuff_tensor *tuff_greater(tuff_graph *g, tuff_tensor *a, tuff_tensor *b);
/* x * factor, the factor rounded to f32 */
TUFF_API tuff_tensor *tuff_scale(tuff_graph *g, tuff_tensor *x, double factor);
/* e^x, the natural logarithm, the hyperbolic tangent, 1 / (1 + e^-x), max(x, 0), the square root, 1 /
 * sqrt(x), |x|. The logarithm and the roots of a negative x are NaN. The gradients of relu and abs at 0 are
 * 0. */
TUFF_API tuff_tensor *tuff_exp(tuff_graph *g, tuff_tensor *x);
TUFF_API tuff_tensor *tuff_ln(tuff_graph *g, tuff_tensor *x);
TUFF_API tuff_tensor *tuff_tanh(tuff_graph *g, tuff_tensor *x);
TUFF_API tuff_tensor *tuff_sigmoid(tuff_graph *g, tuff_tensor *x);
TUFF_API tuff_tensor *tuff_relu(tuff_graph *g, tuff_tensor *x);
TUFF_API tuff_tensor *tuff_sqrt(tuff_graph *g, tuff_tensor *x);
TUFF_API tuff_tensor *tuff_rsqrt(tuff_graph *g, tuff_tensor *x);
TUFF_API tuff_tensor *tuff_abs(tuff_graph *g, tuff_tensor *x);
/* Gaussian error linear unit (Hendrycks and Gimpel 2016): x * Phi(x) with erf, or its tanh approximation. */
TUFF_API tuff_tensor *tuff_gelu(tuff_graph *g, tuff_tensor *x, bool tanh_approximation);
/* x * sigmoid(x) */
TUFF_API tuff_tensor *tuff_silu(tuff_graph *g, tuff_tensor *x);
/* silu(gate) * up (Shazeer 2020); the same shape. */
TUFF_API tuff_tensor *tuff_swiglu(tuff_graph *g, tuff_tensor *gate, tuff_tensor *up);
/* Zeroes each element with probability p and scales the rest by 1 / (1 - p). `seed` is a u32[3] input {seed
 * low, seed high, step}; the mask is Philox4x32-10 of (seed, element index, step, stream), so backward makes
 * it again. */
TUFF_API tuff_tensor *tuff_dropout(tuff_graph *g, tuff_tensor *x, tuff_tensor *seed, double p,
                                   uint32_t stream);
/* Uniform numbers in [-1, 1) of a shape, f32, drawn in the same way. Not differentiable. */
TUFF_API tuff_tensor *tuff_uniform(tuff_graph *g, tuff_tensor *seed, uint32_t stream, int rank,
                                   const int64_t *dims);

/* ---- reductions and products ---- */

/* Sums over the axes whose bit is set; those axes are kept with length 1 when keep_dims. */
TUFF_API tuff_tensor *tuff_sum(tuff_graph *g, tuff_tensor *x, unsigned axes, bool keep_dims);
/* a [..., M, K] times b [..., K, N] gives [..., M, N]; leading axes broadcast. Either may be a transposed
 * view; b may be stored as f16, bf16 or by the block (then it is not differentiable). f32 accumulation. */
TUFF_API tuff_tensor *tuff_matmul(tuff_graph *g, tuff_tensor *a, tuff_tensor *b);
/* The places of i32 `groups`, 0 to A - 1 in row-major order, sorted by the group that stands there, 0 to
 * n - 1: i32 [n + 1 + A], {starts[n + 1], rows[A]}; rows[starts[e] .. starts[e + 1]) are the places of group
 * e, ascending. After them, from starts[n] on, come the places of what is in no group, ascending, each as -1
 * - place. n is 1 to 65536, A at most 2^30. Not differentiable. */
TUFF_API tuff_tensor *tuff_group_rows(tuff_graph *g, tuff_tensor *groups, int64_t n);
/* Each row with the matrix of its group: the products of a mixture of experts. a [R, K]; b [E, K, N], f32,
 * f16, bf16 or stored by the block, may be a view that is transposed, as in tuff_matmul; `order` is what
 * tuff_group_rows made for E groups of A places, A a multiple of R. The result is [A, N]: row i is row i /
 * (A / R) of a times b[group of i], zeros where i is in no group. Matrices of groups without rows are not
 * read; what is not finite in one row or matrix reaches no row of another. f32 accumulation. A row's bits
 * depend on how many rows its group has, and there are in all, unless the graph was set invariant: then on
 * its own row of a and its matrix alone. Differentiable in a, and in b where that is f32. */
TUFF_API tuff_tensor *tuff_matmul_grouped(tuff_graph *g, tuff_tensor *a, tuff_tensor *b, tuff_tensor *order);
/* Products made from here on give each row of a the same bits on one device, however many rows there are: the
 * kernel, its blocking and the order of sums follow from N, K and the types alone. Costs some speed where
 * there are few rows. Attention, norms and what works by elements are so always. */
TUFF_API void tuff_graph_set_invariant(tuff_graph *g, bool invariant);

/* Products made from here on whose b is stored by the block may round the rows of a to 8 bits, with a scale
 * for each 32 or 256 elements, and sum integers. On the CPU they do where b's blocks lie along K, at several
 * times the speed, for up to 64 rows (of grouped products, for a group on average), and where products are
 * invariant as well for any number. By normal elements a result is off by about 0.5 % of the results' size
 * (one standard deviation), 0.7 % with blocks of 256. Devices whose kernels expand blocks, as those of Vulkan
 * do, stay exact, and so do gradients. */
TUFF_API void tuff_graph_set_quantized_activations(tuff_graph *g, bool quantized);

/* Mixed precision: with TUFF_BF16 the graph's products, those of its gradients as well, round both operands
 * to it (to nearest, halves to even) as they read them, whenever they were made; sums and results stay f32,
 * and so does all else, weights and optimizers above all. TUFF_F32, the default: no product rounds. Where the
 * processor or the device multiplies bf16 faster that is used; the meaning is the same everywhere. */
TUFF_API void tuff_graph_set_operands(tuff_graph *g, tuff_dtype operands);

/* ---- layers ---- */

/* Over the last axis: (x - mean) / sqrt(variance + eps) * weight + bias (Ba et al. 2016); weight, bias [C].
 */
TUFF_API tuff_tensor *tuff_layer_norm(tuff_graph *g, tuff_tensor *x, tuff_tensor *weight, tuff_tensor *bias,
                                      double eps);
/* Over the last axis: x / sqrt(mean(x^2) + eps) * weight (Zhang and Sennrich 2019); weight [C]. */
TUFF_API tuff_tensor *tuff_rms_norm(tuff_graph *g, tuff_tensor *x, tuff_tensor *weight, double eps);
/* Over the last axis: x / max(|x|, eps) with |x| = sqrt(sum(x^2)), as torch.nn.functional.normalize; eps at
 * least 0. The gradient is (dy - y (y . dy)) / |x|, where |x| < eps it is dy / eps. */
TUFF_API tuff_tensor *tuff_l2_normalize(tuff_graph *g, tuff_tensor *x, double eps);
/* Rotary position embedding (Su et al. 2021), half-split pairs (i, i + D/2) as in Hugging Face: x [N, H,
 * D]; cos, sin [max_position, R/2] tables, R <= D: only the first R dims of each head rotate; positions i32
 * [N]. Differentiable in x. */
TUFF_API tuff_tensor *tuff_rope(tuff_graph *g, tuff_tensor *x, tuff_tensor *cos, tuff_tensor *sin,
                                tuff_tensor *positions);
/* Over the last axis. */
TUFF_API tuff_tensor *tuff_softmax(tuff_graph *g, tuff_tensor *x);

typedef struct tuff_attention_params {
    size_t struct_size; /* set by TUFF_ATTENTION_PARAMS_INIT */
    double scale;       /* of the scores; 0 means 1 / sqrt(head_dim) */
    double softcap;     /* scores become softcap * tanh(score / softcap); 0: they stay */
    /* The query at position p sees the keys k with p - k <= left and k - p <= right; -1: no limit. Causal:
     * right 0. */
    int64_t left, right;
    int64_t zero; /* the bias's column for a query's own position */
    /* Zeroes each probability with this one and scales the rest by 1 / (1 - dropout), with `dropout_seed` and
     * `dropout_stream` as of tuff_dropout; the mask is of (seed, row of q, head, key of the segment, step,
     * stream). 0: none, and no seed is needed */
    double dropout;
    tuff_tensor *dropout_seed;
    uint32_t dropout_stream;
    uint32_t reserved; /* leave it 0 */
} tuff_attention_params;
#define TUFF_ATTENTION_PARAMS_INIT                                    \
    {                                                                 \
        sizeof(tuff_attention_params), 0, 0, -1, -1, 0, 0, NULL, 0, 0 \
    }
/* Attention per head (Vaswani et al. 2017) of all sequences of a batch, packed in one row of tokens, computed
 * in tiles without the score matrix (Dao 2023): q [N, Hq, D]; k, v [M, Hkv, D], Hq a multiple of Hkv (Ainslie
 * et al. 2023); result [N, Hq, D]. k and v may be f16 (then not differentiable).
 *
 * `segments`, an i32 input of the graph [S, 4], has a row {q_begin, q_len, kv_begin, kv_len} per sequence:
 * its queries are q_len rows of q from q_begin on, and stand at the last q_len of the kv_len positions whose
 * keys and values lie from row kv_begin on. So a KV cache is k and v with kv_begin = slot * capacity; in
 * cross attention q is of one stream and k, v of another. A row with q_len 0 is unused. So is one that
 * reaches outside of q or k, begins before the queries of one above it end, or shares keys with one above it.
 * Rows of q in no segment give zeros; what is not finite in one segment reaches no other; a segment's result
 * is the same, bit for bit, whatever else is in the batch, but for what dropout leaves of it.
 *
 * The score of query p and key k is softcap(scale * q.k) + bias[h, clamp(k - p + zero, 0, R - 1)], with
 * `bias` [Hq, R] or NULL; `sinks` [Hq], or NULL, is one more logit for each head, which takes weight and
 * gives nothing (Xiao et al. 2024). Both are differentiable. A query that sees no key gives zeros. `params`
 * may be NULL. */
TUFF_API tuff_tensor *tuff_attention(tuff_graph *g, tuff_tensor *q, tuff_tensor *k, tuff_tensor *v,
                                     tuff_tensor *segments, tuff_tensor *bias, tuff_tensor *sinks,
                                     const tuff_attention_params *params);
/* Writes token i of x [N, H, D] in place into row rows[i] (i32 [N]) of cache (f32 or f16) [M, H, D]; tokens
 * whose row is outside of it are dropped, and no two may have the same. The result is the cache after the
 * write. Not differentiable. */
TUFF_API tuff_tensor *tuff_kv_write(tuff_graph *g, tuff_tensor *cache, tuff_tensor *x, tuff_tensor *rows);

/* Pooling of sequences that are packed in one row of tokens. x [N, C]; segments i32 [S, 4], as attention has
 * them, {q_begin, q_len, kv_begin, kv_len}: of segment s the rows q_begin .. q_begin + q_len of x, without
 * those that x does not have (before 0 or from N on). The result is [S, C]; a segment that has no row gives
 * zeros. A segment's result depends on its own rows alone, to the bit, wherever they lie; what is not finite
 * in one reaches no other. Segments may overlap. Differentiable in x.
 * The mean; by_position: weighted by 1, 2, 3, ... along the segment, from the first row that x has
 * (Muennighoff 2022). */
TUFF_API tuff_tensor *tuff_segment_mean(tuff_graph *g, tuff_tensor *x, tuff_tensor *segments,
                                        bool by_position);
/* The maximum, NaN where a row has NaN. The gradient goes to the first row that has it. */
TUFF_API tuff_tensor *tuff_segment_max(tuff_graph *g, tuff_tensor *x, tuff_tensor *segments);

/* Rows of x [N, C] by number, i32 [M]: [M, C]. A number outside 0..N-1 gives zeros; numbers may repeat.
 * Differentiable in x. */
TUFF_API tuff_tensor *tuff_gather_rows(tuff_graph *g, tuff_tensor *x, tuff_tensor *rows);
/* The transpose: row m of x [M, C] is added to row rows[m] of zeros [n, C]; a row whose number is outside
 * 0..n-1 is left out. Rows of the same number are added in ascending order of m. Differentiable in x. */
TUFF_API tuff_tensor *tuff_scatter_add_rows(tuff_graph *g, tuff_tensor *x, tuff_tensor *rows, int64_t n);

/* Rows of table [V, C] (f32, f16, bf16 or of a block type) at ids (i32, any shape [...]): [..., C]. An id
 * outside 0..V-1 gives NaN rows. `index` is needed only for the gradient of the table: an i32 input of
 * tuff_embedding_index_size(n) elements that the host fills with tuff_embedding_index; else NULL. */
TUFF_API tuff_tensor *tuff_embedding(tuff_graph *g, tuff_tensor *table, tuff_tensor *ids, tuff_tensor *index);
/* The token-to-positions list of ids[0..n): {u, rows[n], starts[n + 1], positions[n]} where the u distinct
 * ids are in rows[0..u), ascending, and row i was looked up at positions[starts[i] .. starts[i + 1]),
 * ascending. */
TUFF_API size_t tuff_embedding_index_size(size_t n);
TUFF_API TUFF_MUST_USE tuff_status tuff_embedding_index(const int32_t *ids, size_t n, int32_t *out_index);

/* The place of the largest element along the last axis: x [..., C] gives i32 [...]. Of equals the first one;
 * a NaN is larger than any number. Not differentiable. */
TUFF_API tuff_tensor *tuff_argmax(tuff_graph *g, tuff_tensor *x);
/* The k largest elements along the last axis, in descending order: of x [..., C] the values [..., k] and
 * their places, i32 [..., k]. k is 1 to 1024 and at most C. Of equals the first one comes first (-0 and 0
 * are equal); NaNs come before all numbers. Either output may be NULL. The values are differentiable: their
 * gradients go to their places. */
TUFF_API void tuff_top_k(tuff_graph *g, tuff_tensor *x, int64_t k, tuff_tensor **out_values,
                         tuff_tensor **out_indices);

/* Mean negative log-likelihood of labels (i32 [N], -100 is ignored) under softmax(logits [N, V]): a scalar,
 * NaN when all labels are ignored. out_count, if not NULL, receives the number of labels counted, f32 scalar.
 */
TUFF_API tuff_tensor *tuff_cross_entropy(tuff_graph *g, tuff_tensor *logits, tuff_tensor *labels,
                                         tuff_tensor **out_count);
/* The sum of the same over all labels that count, 0 when there is none: its gradient is that of the sum. */
TUFF_API tuff_tensor *tuff_cross_entropy_sum(tuff_graph *g, tuff_tensor *logits, tuff_tensor *labels);
/* The same with smoothed labels, as transformers' LabelSmoother has them: each loss is (1 - smoothing) times
 * that of the label plus smoothing times the mean of those of all V classes. `smoothing` is 0 to 1. */
TUFF_API tuff_tensor *tuff_cross_entropy_smoothed(tuff_graph *g, tuff_tensor *logits, tuff_tensor *labels,
                                                  double smoothing);
/* The same of each row, [N]: 0 where the label is ignored, NaN where it is no class. */
TUFF_API tuff_tensor *tuff_cross_entropy_rows(tuff_graph *g, tuff_tensor *logits, tuff_tensor *labels);

/* ---- optimizer: none is differentiable; all but the norm update variables in place ---- */

/* accumulator += x, in place; the result is the accumulator. */
TUFF_API tuff_tensor *tuff_accumulate(tuff_graph *g, tuff_tensor *accumulator, tuff_tensor *x);
/* x = value everywhere, in place. */
TUFF_API tuff_tensor *tuff_assign(tuff_graph *g, tuff_tensor *x, double value);
/* The L2 norm over all elements of grads[0..n) together: a scalar, not finite when any element is not. */
TUFF_API tuff_tensor *tuff_grad_norm(tuff_graph *g, tuff_tensor *const *grads, size_t n);

typedef struct tuff_adamw_params {
    size_t struct_size; /* set by TUFF_ADAMW_PARAMS_INIT */
    double beta1, beta2, eps, weight_decay;
    double max_grad_norm; /* gradients are scaled by min(1, max / (norm + 1e-6)); 0: no clipping */
} tuff_adamw_params;
/* The defaults of PyTorch's AdamW, but no decay and no clipping. */
#define TUFF_ADAMW_PARAMS_INIT                            \
    {                                                     \
        sizeof(tuff_adamw_params), 0.9, 0.999, 1e-8, 0, 0 \
    }
/* Advances the optimizer's state, a variable f32 [4]: {steps done, steps skipped, 1 - beta1^t, 1 - beta2^t},
 * zeros at first. A norm that is not finite counts as skipped and changes nothing else. The result is the new
 * state. */
TUFF_API tuff_tensor *tuff_optimizer_step(tuff_graph *g, tuff_tensor *state, tuff_tensor *norm,
                                          const tuff_adamw_params *params);
/* A slot is a parameter with what an optimizer keeps of it. Parameters of one group have the same lr_scale
 * and weight_decay. */
typedef struct tuff_adamw_slot {
    size_t struct_size;        /* set by TUFF_ADAMW_SLOT_INIT */
    tuff_tensor *param, *grad; /* a variable and its gradient */
    tuff_tensor *m, *v;        /* the two moments, variables; all four of one shape, f32 */
    bool decay;                /* weight decay applies */
    bool reserved[7];          /* leave them false */
    double lr_scale;           /* times the learning rate; 0: 1 */
    double weight_decay;       /* where decay is set; 0: that of the parameters of the step */
} tuff_adamw_slot;
#define TUFF_ADAMW_SLOT_INIT                                                  \
    {                                                                         \
        sizeof(tuff_adamw_slot), NULL, NULL, NULL, NULL, false, {false}, 0, 0 \
    }
/* AdamW with decoupled weight decay (Loshchilov and Hutter 2019) on all slots in one operation. The
 * struct_size of the first slot tells how large each is; the others' need not be set. `params` may be NULL.
 * `state` is the result of tuff_optimizer_step, `norm` of tuff_grad_norm, lr an f32 scalar input. Nothing
 * changes when norm is not finite. */
TUFF_API void tuff_adamw(tuff_graph *g, const tuff_adamw_slot *slots, size_t n, tuff_tensor *lr,
                         tuff_tensor *norm, tuff_tensor *state, const tuff_adamw_params *params);

/* A slot of optimizers that keep one state. */
typedef struct tuff_momentum_slot {
    size_t struct_size;        /* set by TUFF_MOMENTUM_SLOT_INIT */
    tuff_tensor *param, *grad; /* a variable and its gradient */
    tuff_tensor
        *momentum;    /* a variable, zeros at first; all of one shape, f32; SGD without momentum reads none */
    bool decay;       /* weight decay applies */
    bool reserved[7]; /* leave them false */
    double lr_scale;  /* times the learning rate; 0: 1 */
    double weight_decay; /* where decay is set; 0: that of the parameters of the step */
} tuff_momentum_slot;
#define TUFF_MOMENTUM_SLOT_INIT                                            \
    {                                                                      \
        sizeof(tuff_momentum_slot), NULL, NULL, NULL, false, {false}, 0, 0 \
    }
typedef struct tuff_sgd_params {
    size_t struct_size; /* set by TUFF_SGD_PARAMS_INIT */
    double momentum, weight_decay;
    double max_grad_norm; /* gradients are scaled by min(1, max / (norm + 1e-6)); 0: no clipping */
    bool nesterov;        /* Nesterov's momentum; needs one above 0 */
    bool reserved[7];     /* leave them false */
} tuff_sgd_params;
/* The defaults of PyTorch's SGD: none of these. */
#define TUFF_SGD_PARAMS_INIT                     \
    {                                            \
        sizeof(tuff_sgd_params), 0, 0, 0, false, \
        {                                        \
            false                                \
        }                                        \
    }
/* Gradient descent as torch.optim.SGD does it, without dampening: weight decay is added to the gradient.
 * Slots, lr and norm as in tuff_adamw. */
TUFF_API void tuff_sgd(tuff_graph *g, const tuff_momentum_slot *slots, size_t n, tuff_tensor *lr,
                       tuff_tensor *norm, const tuff_sgd_params *params);
/* Moves variables towards others of their shapes, f32, in place: average += rate * (value - average), where
 * rate is an f32 scalar. */
TUFF_API void tuff_average(tuff_graph *g, tuff_tensor *const *averages, tuff_tensor *const *values, size_t n,
                           tuff_tensor *rate);
typedef struct tuff_lion_params {
    size_t struct_size; /* set by TUFF_LION_PARAMS_INIT */
    double beta1, beta2, weight_decay;
    double max_grad_norm; /* gradients are scaled by min(1, max / (norm + 1e-6)); 0: no clipping */
} tuff_lion_params;
/* The defaults of the paper, but no clipping. */
#define TUFF_LION_PARAMS_INIT                     \
    {                                             \
        sizeof(tuff_lion_params), 0.9, 0.99, 0, 0 \
    }
/* Lion (Chen et al. 2023): a parameter moves by the learning rate in the direction of the sign of beta1 *
 * momentum + (1 - beta1) * gradient, then momentum = beta2 * momentum + (1 - beta2) * gradient; weight decay
 * is decoupled. Slots, lr and norm as in tuff_adamw. */
TUFF_API void tuff_lion(tuff_graph *g, const tuff_momentum_slot *slots, size_t n, tuff_tensor *lr,
                        tuff_tensor *norm, const tuff_lion_params *params);

typedef struct tuff_momentum_params {
    size_t struct_size; /* set by TUFF_MOMENTUM_PARAMS_INIT */
    double momentum;
    double max_grad_norm; /* gradients are scaled by min(1, max / (norm + 1e-6)); 0: no clipping */
    bool nesterov;
    bool reserved[7]; /* leave them false */
} tuff_momentum_params;
/* Those of PyTorch's Muon, but no clipping. */
#define TUFF_MOMENTUM_PARAMS_INIT                    \
    {                                                \
        sizeof(tuff_momentum_params), 0.95, 0, true, \
        {                                            \
            false                                    \
        }                                            \
    }
/* The direction of a step, for optimizers that go on from it: the variable `momentum` becomes beta * momentum
 * + (1 - beta) * grad, in place; the result is that, or with Nesterov's momentum beta * momentum + (1 - beta)
 * * grad of what it has become. With a norm that is not finite the variable stays and the result is zeros.
 * `params` may be NULL. */
TUFF_API tuff_tensor *tuff_momentum(tuff_graph *g, tuff_tensor *momentum, tuff_tensor *grad,
                                    tuff_tensor *norm, const tuff_momentum_params *params);

typedef struct tuff_adafactor_params {
    size_t struct_size;    /* set by TUFF_ADAFACTOR_PARAMS_INIT */
    double beta1;          /* of the mean of steps; 0: none is kept */
    double decay_rate;     /* at step t the squares keep 1 - t^decay_rate of what they were */
    double eps1, eps2;     /* added to squared gradients; the least root of a parameter's mean square */
    double clip_threshold; /* a slot's step has at most this root of its mean square, times the rate */
    double weight_decay;
    double max_grad_norm; /* gradients are scaled by min(1, max / (norm + 1e-6)); 0: no clipping */
    bool scale_parameter; /* the rate is times the root of the parameter's mean square */
    bool reserved[7];     /* leave them false */
} tuff_adafactor_params;
/* As transformers' Trainer has them, but no clipping. */
#define TUFF_ADAFACTOR_PARAMS_INIT                                           \
    {                                                                        \
        sizeof(tuff_adafactor_params), 0, -0.8, 1e-30, 1e-3, 1, 0, 0, false, \
        {                                                                    \
            false                                                            \
        }                                                                    \
    }
typedef struct tuff_adafactor_slot {
    size_t struct_size;        /* set by TUFF_ADAFACTOR_SLOT_INIT */
    tuff_tensor *param, *grad; /* a variable and its gradient */
    /* Variables, zeros at first: of the parameter's shape without its last axis and without its last but one;
     * of a vector its own shape and [1]. */
    tuff_tensor *row, *column;
    tuff_tensor *mean;   /* a variable of the parameter's shape; read where there is a beta1 */
    bool decay;          /* weight decay applies */
    bool reserved[7];    /* leave them false */
    double lr_scale;     /* times the learning rate; 0: 1 */
    double weight_decay; /* where decay is set; 0: that of the parameters of the step */
} tuff_adafactor_slot;
#define TUFF_ADAFACTOR_SLOT_INIT                                                        \
    {                                                                                   \
        sizeof(tuff_adafactor_slot), NULL, NULL, NULL, NULL, NULL, false, {false}, 0, 0 \
    }
/* Adafactor (Shazeer and Stern 2018) as transformers has it, with a given learning rate. Slots, lr, norm and
 * state as in tuff_adamw. */
TUFF_API void tuff_adafactor(tuff_graph *g, const tuff_adafactor_slot *slots, size_t n, tuff_tensor *lr,
                             tuff_tensor *norm, tuff_tensor *state, const tuff_adafactor_params *params);

typedef struct tuff_adamw_8bit_slot {
    size_t struct_size;        /* set by TUFF_ADAMW_8BIT_SLOT_INIT */
    tuff_tensor *param, *grad; /* a variable and its gradient, of n elements */
    /* Variables, zeros at first. The moments: u32 [(n + 3) / 4], a byte per element, the first in the lowest
     * bits; their scales: f32 [(n + 255) / 256]. */
    tuff_tensor *m, *v, *m_scale, *v_scale;
    bool decay;          /* weight decay applies */
    bool reserved[7];    /* leave them false */
    double lr_scale;     /* times the learning rate; 0: 1 */
    double weight_decay; /* where decay is set; 0: that of the parameters of the step */
} tuff_adamw_8bit_slot;
#define TUFF_ADAMW_8BIT_SLOT_INIT                                                              \
    {                                                                                          \
        sizeof(tuff_adamw_8bit_slot), NULL, NULL, NULL, NULL, NULL, NULL, false, {false}, 0, 0 \
    }
/* tuff_adamw whose moments are kept as bytes by blocks of 256 elements (Dettmers et al. 2022), as
 * bitsandbytes has them. */
TUFF_API void tuff_adamw_8bit(tuff_graph *g, const tuff_adamw_8bit_slot *slots, size_t n, tuff_tensor *lr,
                              tuff_tensor *norm, tuff_tensor *state, const tuff_adamw_params *params);

#ifdef __cplusplus
}
#endif
#endif
