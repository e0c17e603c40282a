/* A model on the host: its config, parameters, tokenizer and the file they come from. */
#ifndef TUFF_MODELS_MODEL_H
#define TUFF_MODELS_MODEL_H

#include <tuff/embed.h>
#include <tuff/model.h>
#include <tuff/stage.h>

#include "base/watch.h"
#include "models/arch.h"
#include "runtime/store.h"

/* What stands between the numbers of a model's file and its parameters: an adapter that is merged. Used by
 * any number of threads at once. */
typedef struct tuff_merge {
    /* Whether it changes a parameter of the model at all. */
    bool (*changes)(const void *self, const tuff_param *param);
    /* Changes rows [begin, end) of the parameter's matrix view, which are as the file has them. */
    tuff_status (*rows)(const void *self, const tuff_param *param, int64_t begin, int64_t end, float *values);
    void (*free)(void *self);
    void *self;
    const struct tuff_merge *first; /* what is merged before it, of the model's base; NULL: nothing */
} tuff_merge;
/* Changes rows of a parameter by all that is merged, in order. */
TUFF_MUST_USE tuff_status tuff_merge_rows(const tuff_merge *merge, const tuff_param *param, int64_t begin,
                                          int64_t end, float *values);

/* Immutable once loaded. */
struct tuff_model {
    char *path;
    tuff_config config;
    tuff_params params;
    tuff_tokenizer *tokenizer; /* NULL when the files have none */
    char *tokenizer_error;     /* why, then */
    tuff_weights *weights;     /* of a Hugging Face directory; NULL for GGUF */
    tuff_gguf *gguf;           /* NULL for Hugging Face */
    cJSON *hf_config;          /* config.json as read; NULL for GGUF */
    cJSON *hf_generation;      /* generation_config.json as read, of a GGUF what says the same; NULL: none */
    /* of a model with another head than its file's (models/heads/fresh.c), or with an adapter in its weights
     * (models/merge.c): */
    const tuff_model *base; /* whose path, tokenizer, files it uses; NULL: its own */
    tuff_merge merge;       /* of the second; all NULL: none */
    /* of one with more tokens, or with tables that are not tied any more (models/change.c): */
    tuff_tokenizer *own_tokenizer; /* that it has in place of the base's; NULL: none */
    cJSON *own_generation;         /* the same of hf_generation */
    int32_t *own_ids;
    const int32_t
        *new_ids; /* tokens that no file of the model has a row for that was trained; the base's too */
    size_t new_id_count;
    /* of the first: */
    cJSON *new_labels;        /* id2label and label2id where it has no hf_config; else NULL */
    uint64_t seed;            /* of new parameters, */
    double initializer_range; /* and their standard deviation */
    int users;                /* atomic: see base/users.h */
};

/* One more that uses it, one less; NULL is ignored. */
void tuff_model_keep(const tuff_model *model);
void tuff_model_let_go(const tuff_model *model);

/* In what a model is to differ from the one of its files. */
typedef struct tuff_model_change {
    int64_t rows; /* tokens that its tables are to have; no more: as many as before */
    bool untie;   /* its head, which was the table, is a matrix of its own that begins as that */
    tuff_tokenizer
        *tokenizer;  /* in place of the base's; is taken over, also after a failure; NULL: the base's */
    const char *end; /* a token of it with which texts end, before those that the base has; NULL: none */
    const int32_t *new_ids; /* tokens that are to be trained; copied */
    size_t new_count;
} tuff_model_change;
TUFF_MUST_USE tuff_status tuff_model_changed(const tuff_model *base, const tuff_model_change *change,
                                             tuff_model **out_model);
/* Makes *out one that is `base` as yet, whose files and tokenizer it uses, without parameters and config.json
 * of its own. */
void tuff_model_derive(const tuff_model *base, tuff_model *out);
/* Takes over where the numbers of a base's parameter come from. */
void tuff_param_inherit(tuff_param *param, const tuff_param *old);

/* A head that a task needs. */
typedef struct tuff_head_wish {
    const tuff_head *head;     /* NULL: whatever there is */
    const char *const *labels; /* names; NULL: "LABEL_0" and so on */
    int64_t label_count;
    tuff_problem problem;
    uint64_t seed;             /* of parameters that are new */
    const tuff_weights *saved; /* of an adapter: what it has is not drawn at random for good; NULL: none */
    bool whole; /* what is new, and the output of a classifier or of spans, is trained beside an adapter */
} tuff_head_wish;
/* The module that gives the outputs of a head of this architecture, "classifier"; NULL: it has no such head,
 * or one whose output is a table. */
const char *tuff_head_output_of(const tuff_config *config, const tuff_head *head);
/* The module that PEFT is to save of a parameter that is trained whole: "classifier". */
const char *tuff_param_saved_module(const tuff_config *config, const tuff_param *param, char text[256]);
/* Whether a model has that head, with these labels. */
bool tuff_model_fits(const tuff_model *model, const tuff_head_wish *wish);
/* A model of the same file with this head, whose parameters are taken from the file where it has them and are
 * drawn at random else, which the log says. UNSUPPORTED: there is no such head of the
 * architecture. */
TUFF_MUST_USE tuff_status tuff_model_with_head(const tuff_model *base, const tuff_head_wish *wish,
                                               tuff_model **out_model);
/* The model with what `merge` makes of its weights, which is taken over, also after a failure. */
TUFF_MUST_USE tuff_status tuff_model_with_merge(const tuff_model *base, tuff_merge merge,
                                                tuff_model **out_model);
/* The standard deviation of new weights; where the config says nothing of it, as transformers' configs have
 * it. */
double tuff_initializer_range(const cJSON *json);
/* Rows [begin, end) of a new parameter: normal numbers; norms multiply by 1, biases are 0. */
void tuff_param_draw(const tuff_model *model, const tuff_param *param, int64_t begin, int64_t end,
                     float *out);
/* The pooling that a GGUF names; TUFF_POOLING_MODEL: none. UNSUPPORTED: one that makes no vectors. */
TUFF_MUST_USE tuff_status tuff_model_gguf_pooling(const tuff_model *model, tuff_pooling *out_pooling);
/* "regression", as in config.json. */
const char *tuff_problem_name(tuff_problem problem);

/* Sets hf_generation by what a GGUF says of sampling; it stays NULL where that is nothing. */
TUFF_MUST_USE tuff_status tuff_model_read_gguf_sampling(tuff_model *model);
/* The other way, as far as these metadata can say it. */
void tuff_model_write_gguf_sampling(const tuff_model *model, tuff_gguf_builder *gguf);
/* Says, a sentence each, why llama.cpp will not load the GGUF of a model with this config
 * (models/llama_cpp.c). */
void tuff_warn_of_llama_cpp(const tuff_config *config);

/* Sets the config, all but its tokens: from the file, which is open, or from hf_config, which is read. */
TUFF_MUST_USE tuff_status tuff_model_read_gguf(tuff_model *model);
TUFF_MUST_USE tuff_status tuff_model_read_hf(tuff_model *model, const tuff_hf_files *files);
/* Once config and tensors are both known: decides which head the model has, and whether its output is the
 * embedding table. A matrix of its own in the file is used, whatever the config says, as transformers does.
 */
void tuff_model_settle_head(tuff_model *model);
/* The file's matrix of the output, also where it is a copy of the embedding table; NULL when there is none.
 */
const tuff_weight *tuff_model_output(const tuff_model *model);
/* The file's embedding table; NULL when there is none. */
const tuff_weight *tuff_model_table(const tuff_model *model);
/* UNSUPPORTED, saying what it is instead, unless it is a language model. */
TUFF_MUST_USE tuff_status tuff_model_need_lm(const tuff_model *model);
/* How many labels a classifier has, and what problem it solves; their names stay in the file. */
TUFF_MUST_USE tuff_status tuff_labels_read_hf(const cJSON *json, const char *where, tuff_config *config);
TUFF_MUST_USE tuff_status tuff_labels_read_gguf(const tuff_gguf *gguf, tuff_config *config);
/* The name of a label: the file's, or "LABEL_1", which needs the caller's memory. */
enum { TUFF_LABEL_SIZE = 32 };
tuff_view tuff_model_label(const tuff_model *model, int64_t index, char scratch[TUFF_LABEL_SIZE]);
/* Append them to config.json or to a GGUF's metadata. */
void tuff_labels_write_hf(const tuff_model *model, tuff_buf *json);
TUFF_MUST_USE tuff_status tuff_labels_write_gguf(const tuff_model *model, tuff_gguf_builder *gguf);
/* Fails when the file lacks a parameter, has it in a shape or a type that cannot be used, or holds a tensor
 * that the model has no use for. */
TUFF_MUST_USE tuff_status tuff_model_check_tensors(const tuff_model *model);
/* Once they are right: settles in which type each parameter is kept. The bytes of the tensors that it reads.
 */
uint64_t tuff_model_settle_types(tuff_model *model);
/* The file's tensors. */
const tuff_weights *tuff_model_weights(const tuff_model *model);
/* The file's tensor of a parameter, or the first of those that it is a stack of, or number `index`; NULL when
 * the file has none of its names. */
const tuff_weight *tuff_model_weight(const tuff_model *model, const tuff_param *param);
const tuff_weight *tuff_model_weight_at(const tuff_model *model, const tuff_param *param, int64_t index);
/* How many there are. */
int64_t tuff_model_tensors(const tuff_model *model, const tuff_param *param);
/* Whether a tensor of the model's file has the shape of that which holds the parameter. */
bool tuff_model_has_shape(const tuff_model *model, const tuff_param *param, const tuff_weight *weight,
                          tuff_shape *out_expected);
/* Sets the list of parameters, by the config, and in which form the files hold each. */
TUFF_MUST_USE tuff_status tuff_model_list_params(tuff_model *model);

/* Of parameters whose columns alternate in a tensor of a Hugging Face file (models/alternating.c), also where
 * that tensor is packed: "<name>_blocks" has numbers of 4 bits, "<name>_scales" their scales. */
const tuff_weight *tuff_alternating_weight(const tuff_model *model, const tuff_param *param, int64_t index);
bool tuff_alternating_packed(const tuff_model *model, const tuff_param *param);
TUFF_MUST_USE tuff_status tuff_alternating_check_packed(const tuff_model *model, const tuff_param *param);
/* Rows [begin, end) of the parameter's matrix view. */
TUFF_MUST_USE tuff_status tuff_alternating_read(const tuff_model *model, const tuff_param *param,
                                                int64_t begin, int64_t end, tuff_dtype dtype, void *out);

/* Elements of all parameters; a tied table counts once. */
int64_t tuff_model_parameters(const tuff_model *model);

/* The type of its matrices on a device where they are frozen, as tuff_model_info has it. Where an adapter is
 * merged: those of the model without it. */
tuff_dtype tuff_model_matrix_dtype(const tuff_model *model);

/* What all parameters take on a device: as they are stored, or, to be trained, as f32. */
uint64_t tuff_model_weight_bytes(const tuff_model *model, bool trained);

/* Puts all parameters into the store, under their names, in memory order: as they are stored, or, to be
 * trained, as f32. `watch` may be NULL. */
TUFF_MUST_USE tuff_status tuff_model_upload(const tuff_model *model, bool trained, const tuff_watch *watch,
                                            tuff_store *store);
/* Puts into the store what graphs read besides parameters: the rope tables "rope.cos", "rope.sin" f32
 * [positions, head_dim / 2], "rope.local.cos", "rope.local.sin" of models whose local layers have others,
 * "distances.buckets" of models with a bias by distance and "alibi" of those with ALiBi; nothing for models
 * without. */
TUFF_MUST_USE tuff_status tuff_model_upload_tables(const tuff_model *model, int64_t positions,
                                                   const tuff_watch *watch, tuff_store *store);
/* Its parts for the bias by distance (models/distances.c, models/alibi.c). */
TUFF_MUST_USE tuff_status tuff_distances_upload(const tuff_config *config, tuff_store *store);
TUFF_MUST_USE tuff_status tuff_alibi_upload(const tuff_config *config, int64_t positions, tuff_store *store);

/* Reads one parameter's present value in memory order as f32, rows [begin, end) of its matrix view: from the
 * store when it is there, else from the model's file. */
TUFF_MUST_USE tuff_status tuff_model_read(const tuff_model *model, const tuff_param *param,
                                          const tuff_store *store, int64_t begin, int64_t end, float *out);

/* Writes the model as the files of a Hugging Face directory into a stage, which the caller commits. Values
 * come from `store` where it is not NULL; all tensors are stored as `dtype`. `watch` may be NULL. */
TUFF_MUST_USE tuff_status tuff_model_write_hf(const tuff_model *model, const tuff_store *store,
                                              tuff_dtype dtype, const tuff_watch *watch, tuff_stage *stage);

#endif
