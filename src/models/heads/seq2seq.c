/* Encoder-decoders: logits of the next token of a text that answers another. */
#include "models/heads/head.h"

static tuff_tensor *build(tuff_net *net, tuff_tensor *x)
{
    return tuff_head_output(net, x, false);
}

const tuff_head tuff_head_seq2seq = {.name = "seq2seq",
                                     .title = "sequence-to-sequence language model",
                                     .hf_classes = "ForConditionalGeneration WithLMHeadModel",
                                     .peft_type = "SEQ_2_SEQ_LM",
                                     .build = build};
