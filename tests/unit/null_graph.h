/* Builders of graphs whose arguments are missing: see api_null_test.c. */
#ifndef TUFF_TESTS_NULL_GRAPH_H
#define TUFF_TESTS_NULL_GRAPH_H

#include "null_kit.h"

static const int64_t dims[4] = {2, 3, 4, 5};

/* The call of a builder, written with the graph g and its tensor x. Without a graph it gives nothing; with
 * one, the argument that is missing fails the graph. */
#define FAILS(call)                                                                                \
    do {                                                                                           \
        tuff_graph *g = NULL;                                                                      \
        tuff_tensor *x = fixture.tensor;                                                           \
        (void)x;                                                                                   \
        assert_null(call);                                                                         \
        assert_true(*tuff_error_message());                                                        \
        KIT_OK(tuff_graph_create(&g));                                                             \
        x = tuff_variable(g, "x", TUFF_F32, 4, dims);                                              \
        assert_null(call);                                                                         \
        kit_expect_status(tuff_graph_status(g), TUFF_INVALID_ARGUMENT, #call, __FILE__, __LINE__); \
        tuff_graph_destroy(&g);                                                                    \
    } while (0)
/* For builders that return nothing. */
#define FAILS_VOID(call) FAILS(((call), (void *)NULL))

CALLS_OF(tuff_graph_create)
{
    REFUSED(tuff_graph_create(NULL));
}
CALLS_OF(tuff_graph_destroy)
{
    tuff_graph *none = NULL;
    tuff_graph_destroy(NULL);
    tuff_graph_destroy(&none);
}
CALLS_OF(tuff_graph_status)
{
    REFUSED(tuff_graph_status(NULL));
}
CALLS_OF(tuff_input)
{
    FAILS(tuff_input(g, NULL, TUFF_F32, 2, dims));
    FAILS(tuff_input(g, "i", TUFF_F32, 2, NULL));
}
CALLS_OF(tuff_variable)
{
    FAILS(tuff_variable(g, NULL, TUFF_F32, 2, dims));
    FAILS(tuff_variable(g, "v", TUFF_F32, 2, NULL));
}
CALLS_OF(tuff_output)
{
    FAILS_VOID(tuff_output(g, NULL, x));
    FAILS_VOID(tuff_output(g, "o", NULL));
}
CALLS_OF(tuff_set_name)
{
    FAILS_VOID(tuff_set_name(g, NULL, "n"));
    FAILS_VOID(tuff_set_name(g, x, NULL));
}
CALLS_OF(tuff_tensor_rank)
{
    assert_int_equal(tuff_tensor_rank(NULL), 0);
}
CALLS_OF(tuff_tensor_dim)
{
    assert_int_equal(tuff_tensor_dim(NULL, 0), 0);
    assert_int_equal(tuff_tensor_dim(fixture.tensor, 4), 0);
    assert_int_equal(tuff_tensor_dim(fixture.tensor, -5), 0);
}
CALLS_OF(tuff_tensor_dtype)
{
    assert_int_equal(tuff_tensor_dtype(NULL), TUFF_F32);
}
CALLS_OF(tuff_graph_grad)
{
    tuff_tensor *grad = NULL;
    FAILS_VOID(tuff_graph_grad(g, NULL, &x, 1, &grad));
    FAILS_VOID(tuff_graph_grad(g, x, NULL, 1, &grad));
    FAILS_VOID(tuff_graph_grad(g, x, &x, 1, NULL));
    FAILS_VOID(tuff_graph_grad(g, tuff_sum(g, x, 15, false), &grad, 1, &grad));
}
CALLS_OF(tuff_reshape)
{
    FAILS(tuff_reshape(g, NULL, 2, dims));
    FAILS(tuff_reshape(g, x, 2, NULL));
}
CALLS_OF(tuff_detach)
{
    FAILS(tuff_detach(g, NULL));
}
CALLS_OF(tuff_permute)
{
    static const int axes[4] = {0, 1, 2, 3};
    FAILS(tuff_permute(g, NULL, axes));
    FAILS(tuff_permute(g, x, NULL));
}
CALLS_OF(tuff_transpose)
{
    FAILS(tuff_transpose(g, NULL));
}
CALLS_OF(tuff_slice)
{
    FAILS(tuff_slice(g, NULL, 0, 0, 1));
    FAILS(tuff_slice(g, x, 0, 0, 0));
}
CALLS_OF(tuff_expand)
{
    FAILS(tuff_expand(g, NULL, 4, dims));
    FAILS(tuff_expand(g, x, 4, NULL));
}
CALLS_OF(tuff_copy)
{
    FAILS(tuff_copy(g, NULL, TUFF_F32));
}
CALLS_OF(tuff_fill)
{
    FAILS(tuff_fill(g, 1, 2, NULL));
}
CALLS_OF(tuff_pad)
{
    FAILS(tuff_pad(g, NULL, 0, 0, 9));
}

CALLS_OF(tuff_concat)
{
    tuff_tensor *none = NULL;
    FAILS(tuff_concat(g, NULL, 1, 0));
    FAILS(tuff_concat(g, &x, 0, 0));
    FAILS(tuff_concat(g, &none, 1, 0));
}

/* Builders of one tensor, and of two. */
#define UNARY(function)           \
    CALLS_OF(function)            \
    {                             \
        FAILS(function(g, NULL)); \
    }
#define BINARY(function)             \
    CALLS_OF(function)               \
    {                                \
        FAILS(function(g, NULL, x)); \
        FAILS(function(g, x, NULL)); \
    }
UNARY(tuff_exp)
UNARY(tuff_ln)
UNARY(tuff_tanh)
UNARY(tuff_sigmoid)
UNARY(tuff_relu)
UNARY(tuff_sqrt)
UNARY(tuff_rsqrt)
UNARY(tuff_abs)
UNARY(tuff_silu)
UNARY(tuff_softmax)
BINARY(tuff_add)
BINARY(tuff_mul)
BINARY(tuff_sub)
BINARY(tuff_div)
BINARY(tuff_maximum)
BINARY(tuff_minimum)
BINARY(tuff_greater)
BINARY(tuff_swiglu)
BINARY(tuff_matmul)
BINARY(tuff_accumulate)

CALLS_OF(tuff_scale)
{
    FAILS(tuff_scale(g, NULL, 2));
}
CALLS_OF(tuff_gelu)
{
    FAILS(tuff_gelu(g, NULL, true));
}
CALLS_OF(tuff_dropout)
{
    FAILS(tuff_dropout(g, NULL, x, 0.5, 0));
    FAILS(tuff_dropout(g, x, NULL, 0.5, 0));
}
CALLS_OF(tuff_uniform)
{
    FAILS(tuff_uniform(g, NULL, 0, 1, (int64_t[]){4}));
    FAILS(tuff_uniform(g, x, 0, 2, NULL));
}
CALLS_OF(tuff_sum)
{
    FAILS(tuff_sum(g, NULL, 1, true));
}
CALLS_OF(tuff_layer_norm)
{
    FAILS(tuff_layer_norm(g, NULL, x, x, 1e-5));
    FAILS(tuff_layer_norm(g, x, NULL, x, 1e-5));
    FAILS(tuff_layer_norm(g, x, x, NULL, 1e-5));
}
CALLS_OF(tuff_rms_norm)
{
    FAILS(tuff_rms_norm(g, NULL, x, 1e-5));
    FAILS(tuff_rms_norm(g, x, NULL, 1e-5));
}
CALLS_OF(tuff_l2_normalize)
{
    FAILS(tuff_l2_normalize(g, NULL, 1e-12));
    FAILS(tuff_l2_normalize(g, x, -1));
}
CALLS_OF(tuff_rope)
{
    FAILS(tuff_rope(g, NULL, x, x, x));
    FAILS(tuff_rope(g, x, NULL, x, x));
    FAILS(tuff_rope(g, x, x, NULL, x));
    FAILS(tuff_rope(g, x, x, x, NULL));
}
CALLS_OF(tuff_attention)
{
    tuff_attention_params unset = TUFF_ATTENTION_PARAMS_INIT;
    unset.struct_size = 0;
    FAILS(tuff_attention(g, NULL, x, x, x, NULL, NULL, NULL));
    FAILS(tuff_attention(g, x, NULL, x, x, NULL, NULL, NULL));
    FAILS(tuff_attention(g, x, x, NULL, x, NULL, NULL, NULL));
    FAILS(tuff_attention(g, x, x, x, NULL, NULL, NULL, NULL));
    FAILS(tuff_attention(g, x, x, x, x, NULL, NULL, &unset));
}
CALLS_OF(tuff_kv_write)
{
    FAILS(tuff_kv_write(g, NULL, x, x));
    FAILS(tuff_kv_write(g, x, NULL, x));
    FAILS(tuff_kv_write(g, x, x, NULL));
}
CALLS_OF(tuff_graph_set_invariant)
{
    tuff_graph_set_invariant(NULL, true);
}
CALLS_OF(tuff_graph_set_quantized_activations)
{
    tuff_graph_set_quantized_activations(NULL, true);
}
CALLS_OF(tuff_graph_set_operands)
{
    tuff_graph_set_operands(NULL, TUFF_BF16);
}
CALLS_OF(tuff_segment_mean)
{
    FAILS(tuff_segment_mean(g, NULL, x, false));
    FAILS(tuff_segment_mean(g, x, NULL, false));
}
CALLS_OF(tuff_segment_max)
{
    FAILS(tuff_segment_max(g, NULL, x));
    FAILS(tuff_segment_max(g, x, NULL));
}
CALLS_OF(tuff_gather_rows)
{
    FAILS(tuff_gather_rows(g, NULL, x));
    FAILS(tuff_gather_rows(g, x, NULL));
}
CALLS_OF(tuff_scatter_add_rows)
{
    FAILS(tuff_scatter_add_rows(g, NULL, x, 3));
    FAILS(tuff_scatter_add_rows(g, x, NULL, 3));
}
CALLS_OF(tuff_group_rows)
{
    FAILS(tuff_group_rows(g, NULL, 3));
    FAILS(tuff_group_rows(g, x, 0));
}
CALLS_OF(tuff_matmul_grouped)
{
    FAILS(tuff_matmul_grouped(g, NULL, x, x));
    FAILS(tuff_matmul_grouped(g, x, NULL, x));
    FAILS(tuff_matmul_grouped(g, x, x, NULL));
    FAILS(tuff_matmul_grouped(g, x, x, x));
}
CALLS_OF(tuff_argmax)
{
    FAILS(tuff_argmax(g, NULL));
}
CALLS_OF(tuff_top_k)
{
    tuff_tensor *values = fixture.tensor, *indices = fixture.tensor;
    FAILS_VOID(tuff_top_k(g, NULL, 1, &values, &indices));
    assert_null(values);
    assert_null(indices);
    FAILS_VOID(tuff_top_k(g, x, 0, NULL, NULL));
}
CALLS_OF(tuff_embedding)
{
    FAILS(tuff_embedding(g, NULL, x, NULL));
    FAILS(tuff_embedding(g, x, NULL, NULL));
}
CALLS_OF(tuff_embedding_index_size)
{
    assert_true(tuff_embedding_index_size(0) > 0);
}
CALLS_OF(tuff_embedding_index)
{
    int32_t ids[1] = {0}, index[8];
    REFUSED(tuff_embedding_index(NULL, 1, index));
    REFUSED(tuff_embedding_index(ids, 1, NULL));
}
CALLS_OF(tuff_cross_entropy)
{
    FAILS(tuff_cross_entropy(g, NULL, x, NULL));
    FAILS(tuff_cross_entropy(g, x, NULL, NULL));
}
CALLS_OF(tuff_cross_entropy_sum)
{
    FAILS(tuff_cross_entropy_sum(g, NULL, x));
    FAILS(tuff_cross_entropy_sum(g, x, NULL));
}
CALLS_OF(tuff_cross_entropy_smoothed)
{
    FAILS(tuff_cross_entropy_smoothed(g, NULL, x, 0.1));
    FAILS(tuff_cross_entropy_smoothed(g, x, NULL, 0.1));
}
CALLS_OF(tuff_cross_entropy_rows)
{
    FAILS(tuff_cross_entropy_rows(g, NULL, x));
    FAILS(tuff_cross_entropy_rows(g, x, NULL));
}
CALLS_OF(tuff_assign)
{
    FAILS(tuff_assign(g, NULL, 1));
}
CALLS_OF(tuff_grad_norm)
{
    tuff_tensor *none = NULL;
    FAILS(tuff_grad_norm(g, NULL, 1));
    FAILS(tuff_grad_norm(g, &x, 0));
    FAILS(tuff_grad_norm(g, &none, 1));
}
CALLS_OF(tuff_optimizer_step)
{
    tuff_adamw_params unset = TUFF_ADAMW_PARAMS_INIT;
    unset.struct_size = 0;
    FAILS(tuff_optimizer_step(g, NULL, x, NULL));
    FAILS(tuff_optimizer_step(g, x, NULL, NULL));
    FAILS(tuff_optimizer_step(g, x, x, &unset));
}
CALLS_OF(tuff_adamw)
{
    tuff_adamw_slot slot = TUFF_ADAMW_SLOT_INIT, unset = slot;
    unset.struct_size = 0;
    FAILS_VOID(tuff_adamw(g, NULL, 1, x, x, x, NULL));
    FAILS_VOID(tuff_adamw(g, &slot, 0, x, x, x, NULL));
    FAILS_VOID(tuff_adamw(g, &slot, 1, x, x, x, NULL));
    FAILS_VOID(tuff_adamw(g, &unset, 1, x, x, x, NULL));
    FAILS_VOID(tuff_adamw(g, &slot, 1, NULL, x, x, NULL));
}

CALLS_OF(tuff_sgd)
{
    tuff_momentum_slot slot = TUFF_MOMENTUM_SLOT_INIT, unset = slot;
    tuff_sgd_params params = TUFF_SGD_PARAMS_INIT;
    unset.struct_size = params.struct_size = 0;
    FAILS_VOID(tuff_sgd(g, NULL, 1, x, x, NULL));
    FAILS_VOID(tuff_sgd(g, &slot, 0, x, x, NULL));
    FAILS_VOID(tuff_sgd(g, &slot, 1, x, x, NULL));
    FAILS_VOID(tuff_sgd(g, &unset, 1, x, x, NULL));
    FAILS_VOID(tuff_sgd(g, &slot, 1, x, x, &params));
    FAILS_VOID(tuff_sgd(g, &slot, 1, NULL, x, NULL));
}

CALLS_OF(tuff_average)
{
    FAILS_VOID(tuff_average(g, NULL, &x, 1, x));
    FAILS_VOID(tuff_average(g, &x, NULL, 1, x));
    FAILS_VOID(tuff_average(g, &x, &x, 0, x));
    FAILS_VOID(tuff_average(g, &x, &x, 1, NULL));
}
CALLS_OF(tuff_lion)
{
    tuff_momentum_slot slot = TUFF_MOMENTUM_SLOT_INIT, unset = slot;
    tuff_lion_params params = TUFF_LION_PARAMS_INIT;
    unset.struct_size = params.struct_size = 0;
    FAILS_VOID(tuff_lion(g, NULL, 1, x, x, NULL));
    FAILS_VOID(tuff_lion(g, &slot, 0, x, x, NULL));
    FAILS_VOID(tuff_lion(g, &slot, 1, x, x, NULL));
    FAILS_VOID(tuff_lion(g, &unset, 1, x, x, NULL));
    FAILS_VOID(tuff_lion(g, &slot, 1, x, x, &params));
    FAILS_VOID(tuff_lion(g, &slot, 1, NULL, x, NULL));
}

CALLS_OF(tuff_momentum)
{
    tuff_momentum_params unset = TUFF_MOMENTUM_PARAMS_INIT;
    unset.struct_size = 0;
    FAILS(tuff_momentum(g, NULL, x, x, NULL));
    FAILS(tuff_momentum(g, x, NULL, x, NULL));
    FAILS(tuff_momentum(g, x, x, NULL, NULL));
    FAILS(tuff_momentum(g, x, x, x, &unset));
}

CALLS_OF(tuff_adafactor)
{
    tuff_adafactor_slot slot = TUFF_ADAFACTOR_SLOT_INIT, unset = slot;
    tuff_adafactor_params params = TUFF_ADAFACTOR_PARAMS_INIT;
    unset.struct_size = params.struct_size = 0;
    FAILS_VOID(tuff_adafactor(g, NULL, 1, x, x, x, NULL));
    FAILS_VOID(tuff_adafactor(g, &slot, 0, x, x, x, NULL));
    FAILS_VOID(tuff_adafactor(g, &slot, 1, x, x, x, NULL));
    FAILS_VOID(tuff_adafactor(g, &unset, 1, x, x, x, NULL));
    FAILS_VOID(tuff_adafactor(g, &slot, 1, x, x, x, &params));
    FAILS_VOID(tuff_adafactor(g, &slot, 1, NULL, x, x, NULL));
}

CALLS_OF(tuff_adamw_8bit)
{
    tuff_adamw_8bit_slot slot = TUFF_ADAMW_8BIT_SLOT_INIT, unset = slot;
    tuff_adamw_params params = TUFF_ADAMW_PARAMS_INIT;
    unset.struct_size = params.struct_size = 0;
    FAILS_VOID(tuff_adamw_8bit(g, NULL, 1, x, x, x, NULL));
    FAILS_VOID(tuff_adamw_8bit(g, &slot, 0, x, x, x, NULL));
    FAILS_VOID(tuff_adamw_8bit(g, &slot, 1, x, x, x, NULL));
    FAILS_VOID(tuff_adamw_8bit(g, &unset, 1, x, x, x, NULL));
    FAILS_VOID(tuff_adamw_8bit(g, &slot, 1, x, x, x, &params));
    FAILS_VOID(tuff_adamw_8bit(g, &slot, 1, NULL, x, x, NULL));
}

#endif
