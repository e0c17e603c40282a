/* What architectures build their graphs from: parameters by name, linear layers that ask the adapters,
 * attention with or without a cache. */
#ifndef TUFF_MODELS_NET_H
#define TUFF_MODELS_NET_H

#include "models/arch.h"

/* Which experts the tokens use, i32 [N * used], and the same in their order (tuff_group_rows). */
typedef struct tuff_routes {
    tuff_tensor *chosen, *order;
} tuff_routes;

/* Where a part of a layer is added to what came before. */
typedef struct tuff_branch {
    int layer;
    bool feed_forward;
    const char *norm; /* the part that norms the sum; NULL: none does */
} tuff_branch;

/* Where an adapter may change what a net computes. NULL: it leaves this as it is. `self` is the hook's. */
typedef struct tuff_net_points {
    /* What a linear layer is given, before its product. */
    tuff_tensor *(*input)(void *self, tuff_net *net, const char *module, tuff_tensor *x);
    /* What a linear layer gives: x, its weight w [out, in] as it is stored, y = x w^T + b. */
    tuff_tensor *(*linear)(void *self, tuff_net *net, const char *module, tuff_tensor *x, tuff_tensor *w,
                           tuff_tensor *y);
    /* What n matrices of experts give, y[n]: they are given a row of x for each token, or for each of its
     * experts. */
    void (*experts)(void *self, tuff_net *net, const tuff_routes *to, const char *const *modules, int n,
                    tuff_tensor *x, tuff_tensor **y);
    /* Keys and values [N, heads, D] of the layers' attention to the stream itself, turned by their positions,
     * before they come into a cache. */
    void (*keys)(void *self, tuff_net *net, int layer, tuff_tensor **k, tuff_tensor **v);
    /* What attention or feed-forward gives, y, before it is added to x. */
    tuff_tensor *(*branch)(void *self, tuff_net *net, const tuff_branch *at, tuff_tensor *x, tuff_tensor *y);
    /* The rows [N, hidden_size] that are read of the tokens' table, times the model's factor, as they are. */
    tuff_tensor *(*rows)(void *self, tuff_net *net, tuff_tensor *x);
    /* What a head of all tokens gives, before its bias: y = x w^T. */
    tuff_tensor *(*output)(void *self, tuff_net *net, tuff_tensor *x, tuff_tensor *y);
    /* The rows [N, hidden_size] of the tokens' table, with noise, before positions and norms. */
    tuff_tensor *(*embeddings)(void *self, tuff_net *net, tuff_tensor *x);
} tuff_net_points;
typedef struct tuff_net_hook {
    const tuff_net_points *points;
    void *self;
    const tuff_map *whole; /* names of parameters that the adapter has whole: they are f32; NULL: none */
} tuff_net_hook;

/* A row of tokens of sequences, which goes through a stack of layers. */
typedef struct tuff_stream {
    tuff_tensor *ids, *positions, *types, *segments, *rows;
    tuff_tensor
        *distances; /* of models that have it: attention's bias, made by the first layer, or by each */
    int64_t distance_zero;
} tuff_stream;

/* Names of a net's inputs, for N tokens of S sequences in one row: ids i32 [N], ids_index (for the gradient
 * of the table), positions i32 [N] and positions_index (of models with positions), types i32 [N] and
 * types_index (of models with token types), segments i32 [S, 4] (as tuff_attention has them), rows i32 [N]
 * (with a cache: where a token's keys and values go), last i32 [S] (which token gives a sequence's logits),
 * labels i32 [N], balance.tokens f32 [N] (where `balance` asks for it: 1 / their number of the tokens that
 * count, 0 of others), noise f32 [N, 1] (where `noise` asks for it: the largest that a token's numbers get),
 * dropout_seed u32 [3] (see tuff_dropout; where something draws).
 *
 * Of encoder-decoders these are the decoder's stream. The encoder's has M tokens and inputs source.ids,
 * source.positions, source.segments, source.ids_index, source.noise and so on; the decoder's tokens attend to
 * its states by the input cross.segments i32 [S, 4], whose queries are of the one and whose keys are of the
 * other. Where both run apart (with a cache), the keys and values of that attention are variables
 * "cross.k.<layer>" and "cross.v.<layer>" [heads, cross_capacity, D], which the encoder's net writes at the
 * input source.rows i32 [M] (tuff_net_remember), and the decoder's reads. */
struct tuff_net {
    tuff_graph *g;
    const tuff_config *config; /* of the stack that is built */
    int64_t tokens, sequences; /* 0 tokens: the encoder alone */
    int64_t source_tokens;     /* of the encoder's stream; 0: there is none */
    int64_t cross_capacity;    /* rows that hold keys and values of encoders' states; 0: none */
    const tuff_params *params; /* of the model, in whose types it is stored; NULL: f32 */
    tuff_params *declare;      /* not NULL: the parameters that are asked for are listed here */
    bool train_base;           /* base parameters get gradients: embeddings need their index inputs */
    int64_t capacity;          /* rows of the KV cache, of all its slots; 0: no cache */
    tuff_dtype cache_dtype;    /* f32 or f16 */
    int64_t rope_positions;    /* rows of the rope tables; no token sees one so far behind it */
    const tuff_net_hook *hook; /* NULL: none */
    bool balance;              /* the loss of routers is wanted, where the config has one */
    bool noise; /* what is read of the tokens' table gets noise: inputs "dropout_seed", "noise" */
    const tuff_dropouts *dropouts; /* that act: input "dropout_seed"; NULL: none */

    /* made by tuff_net_begin */
    tuff_stream main, source;
    tuff_stream *at; /* the one that is built */
    tuff_tensor *cross_segments;
    tuff_tensor *memory;      /* the encoder's states [M, C] */
    tuff_tensor *balanced;    /* the input "balance.tokens" */
    tuff_tensor *balances[2]; /* sums over layers: tokens of each expert, its probabilities; both [E] */
    tuff_tensor *prefix;      /* the hook's own, of the point `keys` */
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
/* The input "dropout_seed". */
tuff_tensor *tuff_net_seed(tuff_net *net);
/* x with the dropout of this place in a layer, of the stream that is built; 0: it is in no layer. */
tuff_tensor *tuff_net_drop(tuff_net *net, tuff_drop place, int layer, tuff_tensor *x);
/* Rows of a part's table [rows, hidden_size] at ids. `index_name` is the input that the gradient needs. */
tuff_tensor *tuff_net_embed(tuff_net *net, const char *part, int64_t rows, tuff_tensor *ids,
                            const char *index_name);
/* x [..., in] W^T + b (weight [out, in], bias [out]), then the adapters. */
tuff_tensor *tuff_net_linear(tuff_net *net, tuff_tensor *x, const char *part, int layer, int64_t out,
                             bool bias);
/* The config's norm over the last axis. */
tuff_tensor *tuff_net_norm(tuff_net *net, tuff_tensor *x, const char *part, int layer);
/* The choice of experts of one layer: x [N, C] gives [N, C]. */
tuff_tensor *tuff_net_experts(tuff_net *net, tuff_tensor *x, int layer);
/* After the layers: the loss of all routers together, times the config's factor; NULL: none is wanted. */
tuff_tensor *tuff_net_balance(tuff_net *net);
tuff_tensor *tuff_net_activate(tuff_net *net, tuff_activation activation, tuff_tensor *x);
/* [N, n * D] as heads [N, n, D], and back. */
tuff_tensor *tuff_net_split_heads(tuff_net *net, tuff_tensor *x, int64_t n);
tuff_tensor *tuff_net_join_heads(tuff_net *net, tuff_tensor *x);
/* x [N, H, D] rotated by the stream's positions; x itself without rotary positions. */
tuff_tensor *tuff_net_rope(tuff_net *net, tuff_rotary rope, tuff_tensor *x);
/* The bias of attention by distance, [H, columns], of models whose config has distance_buckets, from the
 * table that stands in a layer; *out_zero is the column of a token's own position. */
tuff_tensor *tuff_net_distances(tuff_net *net, int layer, int64_t *out_zero);
/* The same of models whose config has alibi: a column for each of rope_positions distances. */
tuff_tensor *tuff_net_alibi(tuff_net *net, int64_t *out_zero);
/* q [N, H, D], k and v [N, Hkv, D] of one layer: attention, over the cache where there is one. */
tuff_tensor *tuff_net_attention(tuff_net *net, int layer, tuff_tensor *q, tuff_tensor *k, tuff_tensor *v);
/* The decoder's queries q [N, H, D] over all of their encoder's states: k, v [M, H, D], or NULL, where they
 * are in the cache. */
tuff_tensor *tuff_net_cross_attention(tuff_net *net, int layer, tuff_tensor *q, tuff_tensor *k,
                                      tuff_tensor *v);
/* Writes the keys or values ("k", "v") of a layer's attention to the encoder's states into the cache. */
void tuff_net_cross_write(tuff_net *net, const char *which, int layer, tuff_tensor *x);

/* Whole nets: hidden states after the last norm [N, C], of encoder-decoders those of the decoder, logits [N,
 * V] of all tokens, or logits [S, V] at the input "last" only. */
tuff_tensor *tuff_net_hidden(tuff_net *net);
/* The encoder, and what each layer of the decoder needs of its states, written into the cache. */
void tuff_net_remember(tuff_net *net);
tuff_tensor *tuff_net_logits(tuff_net *net, tuff_tensor *hidden, bool last_only);

#endif
