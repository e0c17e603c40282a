/* The parameters of a model: what each is, and where files hold it. The list is made by running the model's
 * graph once, which declares what it asks for (models/net.h), so that names and shapes are written once. */
#ifndef TUFF_MODELS_PARAMS_H
#define TUFF_MODELS_PARAMS_H

#include <tuff/graph.h>

#include "base/memory.h"
#include "base/status.h"
#include "base/text.h"

typedef struct tuff_config tuff_config;

/* What a parameter is for. Matrices multiply, rows of tables are looked up: both may be stored in 16 bits or
 * by the block, and weight decay applies to them, as in Hugging Face's Trainer. Norms and biases are f32. */
typedef enum tuff_role {
    TUFF_ROLE_MATRIX,
    TUFF_ROLE_TABLE,
    TUFF_ROLE_NORM,
    TUFF_ROLE_BIAS,
    TUFF_ROLE_FIXED /* a bias that is never trained */
} tuff_role;

/* How a file holds the rows of a parameter. */
typedef enum tuff_layout {
    TUFF_LAYOUT_ROWS,        /* as they are in memory */
    TUFF_LAYOUT_TRANSPOSED,  /* [in, out]: GPT-2's Conv1D in Hugging Face's files */
    TUFF_LAYOUT_INTERLEAVED, /* rows of a head as pairs (2i, 2i + 1), where memory has them half-split */
    TUFF_LAYOUT_HEADS, /* vectors of so many heads, one parameter after the other, are one tensor's rows */
    TUFF_LAYOUT_ALTERNATING, /* [experts, in, n * out] or [experts, n * out]: columns of n matrices alternate
                              */
    TUFF_LAYOUT_QKV /* all queries, all keys, all values, where memory has those of one key/value head after
                     * the other */
} tuff_layout;

enum { TUFF_PARAM_NAME = 256 }; /* room for the name of a tensor */

/* A tensor of a file. */
typedef struct tuff_source {
    const char *name; /* NULL: the format has no name for it */
    tuff_layout layout;
    int64_t heads;   /* whose rows have another order; QKV: key/value heads; ALTERNATING: how many matrices */
    int64_t queries; /* QKV: heads of queries for each of these */
    int64_t head;    /* HEADS, ALTERNATING: which of them it is */
    int64_t skip;    /* rows that come before the file's first */
    double added;    /* what the file's numbers are larger by than those in memory */
    int64_t stack; /* so many tensors, one for each first index, whose number is the name's '*'; 0: one tensor
                      of them all */
} tuff_source;

/* One parameter. Shapes are those in memory: [out, in] for matrices, [experts, out, in] for those of experts.
 */
typedef struct tuff_param tuff_param;
struct tuff_param {
    const char *name; /* as in a Hugging Face state dict: "model.layers.0.self_attn.q_proj.weight" */
    tuff_role role;
    int rank;
    int64_t shape[TUFF_MAX_RANK];
    tuff_source hf, gguf;
    tuff_source
        fused;         /* of Hugging Face's files as transformers 5 may write them, in its own names: heads
                          matrices of all experts, one after the other, in one tensor; no name: there is none */
    bool is_fused;     /* the model's file has that in place of `hf` */
    bool router;       /* it chooses experts, and is no linear layer to PEFT */
    bool fresh;        /* no file holds it: it is drawn at random */
    bool whole;        /* trained also where an adapter is trained in place of the model */
    bool merged;       /* an adapter that is merged changes its numbers (models/merge.c): it is f32 */
    tuff_dtype stored; /* on a device, when it is not trained: as the model's file has it, or f32 */
    int64_t held;      /* rows that files have; those behind them are all `rest`; 0: all */
    const float *rest; /* [columns] */
    const tuff_param *copy; /* it begins as this one, and no file has it; NULL: it is not so */
};

/* Its matrix view: columns are the last axis, rows all others; a vector has one column. */
int64_t tuff_param_rows(const tuff_param *param);
int64_t tuff_param_columns(const tuff_param *param);
int64_t tuff_param_elements(const tuff_param *param);
/* How many tensors it is in a file of one of the two formats; and the name of one of them. */
int64_t tuff_param_file_tensors(const tuff_param *param, bool gguf);
const char *tuff_param_file_name(const tuff_param *param, bool gguf, int64_t index,
                                 char text[TUFF_PARAM_NAME]);
/* The axes of one of them, or those of the tensor that it is part of; returns how many. */
int tuff_param_file_shape(const tuff_param *param, bool gguf, int64_t out_shape[TUFF_MAX_RANK]);
/* Where a GGUF has row r of a parameter whose rows it has in another order (INTERLEAVED, QKV). */
int64_t tuff_param_gguf_row(const tuff_param *param, int64_t r);
/* Whether it may be stored in 16 bits or by the block, and whether weight decay applies. */
bool tuff_param_is_matrix(const tuff_param *param);

/* A tensor that training changes, f32: a parameter, or what an adapter adds. What is of its group is data of
 * its own. */
typedef struct tuff_trained {
    const char *name; /* of its variable */
    int rank;
    int64_t shape[TUFF_MAX_RANK];
    bool table;          /* rows are looked up in it */
    bool decay;          /* weight decay applies */
    double lr_scale;     /* times the learning rate; 0: 1 */
    double weight_decay; /* where it applies; 0: the settings' */
} tuff_trained;

typedef struct tuff_params {
    tuff_param *items;
    size_t count, capacity;
    tuff_arena arena; /* the names */
    tuff_map by_name;
} tuff_params;
void tuff_params_free(tuff_params *params);
/* NULL when there is none of the name. */
const tuff_param *tuff_params_find(const tuff_params *params, const char *name);

/* Sets the list, which is empty, to the parameters of a model of this config; `stored` is f32. */
TUFF_MUST_USE tuff_status tuff_params_list(const tuff_config *config, tuff_params *params);
/* Appends one; for models/net.c. Its sources follow from the architecture's parts. */
TUFF_MUST_USE tuff_status tuff_params_declare(tuff_params *params, const tuff_config *config,
                                              const char *name, tuff_role role, int rank,
                                              const int64_t *shape);

/* A module (or, when it has a ".", a tensor) in the names of Hugging Face and of GGUF; '#' is the layer's
 * number. */
typedef enum tuff_part_kind {
    TUFF_PART_PLAIN,
    TUFF_PART_CONV1D,      /* Hugging Face's files hold the transpose */
    TUFF_PART_Q,           /* query rows: GGUF interleaves them where the architecture says so */
    TUFF_PART_K,           /* key rows */
    TUFF_PART_QKV,         /* rows of queries, keys and values by head: GGUF has them one after the other */
    TUFF_PART_UNNAMED,     /* GGUF has no name for it: what stands there is the part's name in Tuff only */
    TUFF_PART_POSITIONS,   /* a table of positions: GGUF's begins with the first that texts have */
    TUFF_PART_HEADS,       /* norms "<name>.<head>.weight", which are rows of one tensor in GGUF */
    TUFF_PART_ROUTER,      /* what chooses experts */
    TUFF_PART_ALTERNATING, /* matrices of all experts in one tensor, as gpt-oss has them in Hugging Face's
                              files */
    TUFF_PART_EXPERTS /* a matrix for each expert: Hugging Face's files have them apart, '*' is the number */
} tuff_part_kind;
typedef struct tuff_part {
    const char *hf, *gguf;
    tuff_part_kind kind;
} tuff_part;
/* What GGUF calls a part, where it is not by its name. */
typedef struct tuff_gguf_alias {
    const char *part, *gguf;
} tuff_gguf_alias;

#endif
