/* A head: what stands on the layers and makes of their states what a task needs. It declares its parameters
 * by being built, as layers do. */
#ifndef TUFF_MODELS_HEADS_HEAD_H
#define TUFF_MODELS_HEADS_HEAD_H

#include "models/net.h"

struct tuff_head {
    const char *name;
    const char *title;    /* for people: "language model" */
    const char *hf_class; /* "ForCausalLM": how the names of transformers' classes end that have it */
    /* From the states of the layers, after the last norm. */
    tuff_tensor *(*build)(tuff_net *net, tuff_tensor *states);
};

#define TUFF_HEAD(name) extern const tuff_head tuff_head_##name;
#include "models/heads/heads.def"
#undef TUFF_HEAD

/* "language model", or "none". */
const char *tuff_head_title(const tuff_head *head);

#endif
