/* What architectures build their graphs from: parameters by name, linear layers that ask the adapters,
 * attention with or without a cache. */
#ifndef TUFF_MODELS_NET_H
#define TUFF_MODELS_NET_H

#include "models/arch.h"

/* Adapters change linear layers: given x and y = W x + b of a module, returns what the layer shall give. */
typedef struct tuff_linear_hook {
    tuff_tensor *(*linear)(void *self, tuff_net *net, const char *module, tuff_tensor *x, tuff_tensor *y);
    void *self;
} tuff_linear_hook;

/* Names of a net's inputs: ids i32 [B, T], ids_index (for the gradient of the table), positions i32 [B, T],
 * positions_index, types i32 [B, T] and types_index (of models with token types), start i32 [B] (with a
 * cache: the position of the first id), last i32 [B] (which id of each row, counted over all rows, gives the
 * logits), labels i32 [B * T]. */
struct tuff_net {
    tuff_graph *g;
    const tuff_config *config;
    int64_t batch, length;
    const tuff_params *params;    /* of the model, in whose types it is stored; NULL: f32 */
    tuff_params *declare;         /* not NULL: the parameters that are asked for are listed here */
    bool train_base;              /* base parameters get gradients: embeddings need their index inputs */
    int64_t capacity;             /* positions of the KV cache; 0: no cache */
    tuff_dtype cache_dtype;       /* f32 or f16 */
    int64_t rope_positions;       /* rows of the rope tables */
    const tuff_linear_hook *hook; /* NULL: none */

    /* made by tuff_net_begin */
    tuff_tensor *ids, *positions, *types, *start;
};

/* Makes the inputs. */
void tuff_net_begin(tuff_net *net);

/* The variable of a parameter; the same tensor when asked again. */
tuff_tensor *tuff_net_param(tuff_net *net, const char *name, tuff_role role, int rank, const int64_t *shape);
/* Formats a name; the text lives as long as the graph. */
const char *tuff_net_name(tuff_net *net, const char *format, ...) TUFF_PRINTF(2, 3);

/* Parts are modules by GGUF's names, "blk.#.attn_q", where '#' is the layer; the architecture's list gives
 * Hugging Face's, which their parameters have. */

/* Hugging Face's name of a part; for a part that is a tensor, the tensor's. */
const char *tuff_net_module(tuff_net *net, const char *part, int layer);
/* Rows of a part's table [rows, hidden_size] at ids. `index_name` is the input that the gradient needs. */
tuff_tensor *tuff_net_embed(tuff_net *net, const char *part, int64_t rows, tuff_tensor *ids,
                            const char *index_name);
/* x [..., in] W^T + b (weight [out, in], bias [out]), then the adapters. */
tuff_tensor *tuff_net_linear(tuff_net *net, tuff_tensor *x, const char *part, int layer, int64_t out,
                             bool bias);
/* The config's norm over the last axis. */
tuff_tensor *tuff_net_norm(tuff_net *net, tuff_tensor *x, const char *part, int layer);
tuff_tensor *tuff_net_activate(tuff_net *net, tuff_activation activation, tuff_tensor *x);
/* [B, T, n * D] as heads [B, T, n, D], and back. */
tuff_tensor *tuff_net_split_heads(tuff_net *net, tuff_tensor *x, int64_t n);
tuff_tensor *tuff_net_join_heads(tuff_net *net, tuff_tensor *x);
/* x [B, T, H, D] turned by the net's positions; x itself without rotary positions. */
tuff_tensor *tuff_net_rope(tuff_net *net, tuff_rotary rope, tuff_tensor *x);
/* q [B, T, H, D], k and v [B, T, Hkv, D] of one layer: attention, over the cache where there is one. */
tuff_tensor *tuff_net_attention(tuff_net *net, int layer, tuff_tensor *q, tuff_tensor *k, tuff_tensor *v);

/* Whole nets: hidden states after the last norm [B, T, C], logits [B * T, V] of all positions, or logits [B,
 * V] at the input "last" only.
 */
tuff_tensor *tuff_net_hidden(tuff_net *net);
tuff_tensor *tuff_net_logits(tuff_net *net, tuff_tensor *hidden, bool last_only);

#endif
