/* A head: what stands on the layers and makes of their states what a task needs. It declares its parameters
 * by being built, as layers do. Which heads an architecture may have, and the names of their modules, is in
 * its descriptor. */
#ifndef TUFF_MODELS_HEADS_HEAD_H
#define TUFF_MODELS_HEADS_HEAD_H

#include "models/net.h"

struct tuff_head {
    const char *name;
    const char *title;      /* for people: "language model" */
    const char *hf_classes; /* how the names of transformers' classes end that have it, separated by blanks;
                             * the first is the one that is written */
    const char *peft_type;  /* PEFT's task_type of models with it: "SEQ_CLS"; NULL: it has none */
    bool has_labels;        /* its outputs are the config's labels */
    /* x [..., C], states of tokens after the last norm, to [..., outputs]. */
    tuff_tensor *(*build)(tuff_net *net, tuff_tensor *x);
};

#define TUFF_HEAD(name) extern const tuff_head tuff_head_##name;
#include "models/heads/heads.def"
#undef TUFF_HEAD

/* Whether the config's head is this one; NULL: none. */
bool tuff_config_has_head(const tuff_config *config, const tuff_head *head);
/* "language model", or "none". */
const char *tuff_config_head_title(const tuff_config *config);

/* The config's head on x [..., C]. */
tuff_tensor *tuff_net_head(tuff_net *net, tuff_tensor *x);
/* The states [R, C] of some tokens of states [..., C]: those of the input "picked" i32 [R], which counts all
 * tokens, so that a classifier sees one per sequence, and a masked language model only the masked ones. Where
 * the states need a gradient it comes through the input "picked_index". */
tuff_tensor *tuff_net_pick(tuff_net *net, tuff_tensor *states, int64_t count, bool gradient);

/* What a classifier of sequences sees, [S, C]: the mean of each one's states where the config's head_means
 * says so; else the states that the caller picks: each one's last where the head's spec says so, else its
 * first. */
tuff_tensor *tuff_net_pooled(tuff_net *net, tuff_tensor *states, bool gradient);

/* For heads: what stands before their output: a linear layer with an activation, "cls", then a norm,
 * "cls.norm"; each where the head has it. */
tuff_tensor *tuff_head_transform(tuff_net *net, tuff_tensor *x);
/* Scores of all tokens of the vocabulary: by the embedding table where that is tied, else by a matrix; scaled
 * and bounded as the config says. */
tuff_tensor *tuff_head_output(tuff_net *net, tuff_tensor *x, bool bias);

#endif
