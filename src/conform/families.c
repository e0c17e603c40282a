/* THE list of case tables: src/conform/<family>.c has tuff_family_<family>. */
#include <stddef.h>

#include "conform/case.h"

extern const tuff_case_family tuff_family_activation;
extern const tuff_case_family tuff_family_adafactor;
extern const tuff_case_family tuff_family_adamw_8bit;
extern const tuff_case_family tuff_family_concat;
extern const tuff_case_family tuff_family_copy;
extern const tuff_case_family tuff_family_dropout;
extern const tuff_case_family tuff_family_elementwise;
extern const tuff_case_family tuff_family_fill;
extern const tuff_case_family tuff_family_fma_chain;
extern const tuff_case_family tuff_family_norm;
extern const tuff_case_family tuff_family_normalize;
extern const tuff_case_family tuff_family_optimizer;
extern const tuff_case_family tuff_family_pad;
extern const tuff_case_family tuff_family_sum;
extern const tuff_case_family tuff_family_unary;
extern const tuff_case_family tuff_family_view;
extern const tuff_case_family tuff_family_attention;
extern const tuff_case_family tuff_family_cache;
extern const tuff_case_family tuff_family_cross_entropy;
extern const tuff_case_family tuff_family_embedding;
extern const tuff_case_family tuff_family_group;
extern const tuff_case_family tuff_family_grouped;
extern const tuff_case_family tuff_family_matmul;
extern const tuff_case_family tuff_family_rope;
extern const tuff_case_family tuff_family_rows;
extern const tuff_case_family tuff_family_segment;
extern const tuff_case_family tuff_family_softmax;
extern const tuff_case_family tuff_family_top_k;
extern const tuff_case_family tuff_family_graphs;

const tuff_case_family *const tuff_case_families[] = {
    &tuff_family_activation,    &tuff_family_adafactor, &tuff_family_adamw_8bit,
    &tuff_family_concat,        &tuff_family_copy,      &tuff_family_dropout,
    &tuff_family_elementwise,   &tuff_family_fill,      &tuff_family_fma_chain,
    &tuff_family_norm,          &tuff_family_normalize, &tuff_family_optimizer,
    &tuff_family_pad,           &tuff_family_sum,       &tuff_family_unary,
    &tuff_family_view,          &tuff_family_attention, &tuff_family_cache,
    &tuff_family_cross_entropy, &tuff_family_embedding, &tuff_family_group,
    &tuff_family_grouped,       &tuff_family_matmul,    &tuff_family_rope,
    &tuff_family_rows,          &tuff_family_segment,   &tuff_family_softmax,
    &tuff_family_top_k,         &tuff_family_graphs,    NULL,
};
