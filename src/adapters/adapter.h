/* Adapters: a few trained tensors beside a model that stays as it is. A method says where they attach (the
 * points of models/net.h), what they are and how they start; PEFT's files hold them under the names that they
 * have here. What trains, generates and embeds knows no method by name. */
#ifndef TUFF_ADAPTERS_ADAPTER_H
#define TUFF_ADAPTERS_ADAPTER_H

#include "base/log.h"
#include "formats/gguf.h"
#include "formats/peft.h"
#include "models/model.h"
#include "models/net.h"

/* The settings of all methods, named as in PEFT's configs; each reads what it has. Texts need only live until
 * the call returns. */
typedef struct tuff_adapter_settings {
    const char *peft_type;   /* "lora", in letters of any case */
    const char *targets;     /* last parts of module names, separated by commas ("q_proj,attn.c_proj"), or
                                "all-linear"; NULL: the method's default for the architecture */
    const char *feedforward; /* IA3: those of them whose input is scaled; NULL: as the default has it */
    int64_t rank;            /* LoRA, VeRA; 0: PEFT's preset */
    double alpha, dropout;   /* LoRA: the scale is alpha / rank; of the layer's input, while training */
    bool use_rslora;         /* LoRA: it is alpha / sqrt(rank) */
    bool use_dora;           /* LoRA: rows of what it makes have magnitudes of their own */
    const char *bias; /* LoRA: which biases are trained too, "none", "all" or "lora_only"; NULL: none */
    const char *rank_pattern,
        *alpha_pattern; /* LoRA: "q_proj=4,v_proj=16", of modules that have another; NULL */
    const char
        *parameters;    /* LoRA: "mlp.experts.down_proj", ends of the names of parameters of experts; NULL */
    const char *tokens; /* LoRA, trainable tokens: those whose rows are trained, "3,7" or JSON by module
                           (adapters/tokens.h); NULL: none */
    int64_t virtual_tokens;  /* prompt and prefix tuning */
    bool prefix_projection;  /* prefix tuning: keys and values are what a small net makes of a table */
    double d_initial;        /* VeRA: what one of the vectors begins as; 0: 0.1 */
    uint64_t projection_key; /* VeRA: what its matrices are drawn from */
    int64_t encoder_hidden;  /* of that net; 0: as wide as the keys of a layer */
    const char *bottleneck;  /* bottleneck adapters: "seq_bn" or "double_seq_bn"; NULL: the first */
    double reduction_factor; /* the same: the model's width over theirs; 0: 16 */
    const char *activation;  /* the same: non_linearity; NULL: as the config has it */
    const char *init_text;   /* of the virtual tokens; NULL: they begin at random */
    uint64_t seed;           /* of what begins at random */
} tuff_adapter_settings;

/* What an adapter trains. */
typedef struct tuff_adapter_tensor {
    const char *name; /* of its variable, and in the file */
    int rank;
    int64_t shape[2];
    const tuff_weight *weight; /* in the file that was opened; NULL: it begins anew */
    const tuff_param *rows_of; /* the file has its rows as a GGUF those of this parameter; NULL: in order */
    bool gathered;             /* no tensor of the files is the same: the method puts it together (gather) */
} tuff_adapter_tensor;

/* What files have besides: computed from its tensors, or drawn. */
typedef struct tuff_adapter_derived {
    const char *name;
    int64_t shape[2];
} tuff_adapter_derived;

/* A parameter of the model that it has whole, in place of the model's: PEFT's modules_to_save, and biases. */
typedef struct tuff_adapter_whole {
    const tuff_param *param;
    const tuff_weight *weight; /* in the file that was opened; NULL: it begins as the model's */
    const char *name;          /* in files; NULL: the parameter's behind the method's whole_prefix */
} tuff_adapter_whole;

/* Rows of the tokens' table, or of a head, that it has in place of the model's (adapters/tokens.h). */
typedef struct tuff_token_rows {
    const char *module;      /* as PEFT calls it: "transformer.wte" */
    const tuff_param *param; /* its matrix [tokens, columns] */
    bool table, head;        /* where they are used; tied tables have them both */
    const int32_t *ids;
    int64_t count;
    size_t tensor; /* of the adapter: [count, columns] */
    size_t select; /* of its fixed ones: [tokens, count], 1 where a token has that row */
} tuff_token_rows;
enum { TUFF_MOST_TOKEN_ROWS = 2 };

typedef struct tuff_adapter tuff_adapter;

/* What an adapter_config.json says whatever the method. */
typedef struct tuff_adapter_card {
    const char *base, *task_type; /* NULL: none */
    const char **modules;         /* modules_to_save: those that are trained whole beside it */
    size_t module_count;
} tuff_adapter_card;

typedef struct tuff_method {
    const char *peft_type;          /* "LORA" */
    const char *title;              /* for people: "LoRA" */
    const tuff_peft_layout *layout; /* of its directories; NULL: PEFT's */
    /* What the names of parameters that it has whole begin with in files. */
    const char *whole_prefix;
    /* What stands between a module and its rows of tokens in files; NULL: PEFT has none of the method. */
    const char *token_layer;
    tuff_net_points points;
    /* Checks settings and lists the tensors of a new adapter (tuff_adapter_add). */
    tuff_status (*create)(tuff_adapter *adapter, const tuff_adapter_settings *settings);
    /* The same from files, whose type it is; shapes are checked against the model. NULL: no file has this
     * type, they are another method's. */
    tuff_status (*open)(tuff_adapter *adapter);
    /* The same from a GGUF, which it takes over, also when it fails; and writing one, for a base model of
     * this name (NULL: none). Both NULL: that format has no such adapters. */
    tuff_status (*open_gguf)(tuff_adapter *adapter, tuff_gguf *gguf);
    tuff_status (*write_gguf)(const tuff_adapter *adapter, const char *base, const tuff_watch *watch,
                              const char *path);
    /* The first values of a new adapter's tensor, which are zeros already. NULL: it has none. */
    tuff_status (*start)(const tuff_adapter *adapter, size_t index, float *values);
    /* Rows [begin, end) of a tensor that is put together; NULL: there are none. */
    tuff_status (*gather)(const tuff_adapter *adapter, size_t index, int64_t begin, int64_t end, float *out);
    /* The values of a fixed tensor, which are zeros already; NULL: there are none. */
    tuff_status (*fill)(const tuff_adapter *adapter, size_t index, float *values);
    /* The values of what is derived, where there is such: from tuff_adapter_values. */
    tuff_status (*derive)(const tuff_adapter *adapter, const tuff_store *store, size_t index, float *values);
    /* Writes adapter_config.json. */
    tuff_status (*describe)(const tuff_adapter *adapter, const tuff_adapter_card *card, tuff_buf *out);
    void (*free)(tuff_adapter *adapter); /* what `own` has outside the arena; NULL: nothing */
    /* Merging an adapter from files: whether it changes a parameter of the model, and what rows [begin, end)
     * of the parameter's matrix view are with it, computed in f64 in a fixed order. Both NULL: no weight of
     * the model can hold what the method does. */
    bool (*changes)(const tuff_adapter *adapter, const tuff_param *param);
    /* Whether it changes the table of tokens without the head that is tied to it; NULL: never. */
    bool (*unties)(const tuff_adapter *adapter);
    tuff_status (*merge)(const tuff_adapter *adapter, const tuff_param *param, int64_t begin, int64_t end,
                         float *values);
} tuff_method;

#define TUFF_METHOD(name) extern const tuff_method tuff_method_##name;
#include "adapters/adapters.def"
#undef TUFF_METHOD

struct tuff_adapter {
    const tuff_method *method;
    const tuff_model *model;
    tuff_adapter_tensor *tensors;
    size_t count, capacity;
    tuff_adapter_tensor *fixed; /* vectors that nets read beside them, and nothing trains or saves */
    size_t fixed_count, fixed_capacity;
    tuff_adapter_derived derived[2];
    size_t derived_count;
    tuff_map by_name;
    tuff_adapter_whole *whole; /* in the files that were opened, or to be trained */
    size_t whole_count, whole_capacity;
    tuff_map whole_names; /* the parameters' */
    tuff_token_rows rows[TUFF_MOST_TOKEN_ROWS];
    int row_count;
    tuff_arena arena;
    const char *path;             /* of the file of its tensors; NULL: a new one */
    tuff_peft_files *files;       /* of PEFT that it was opened from; NULL: none */
    const tuff_weights *weights;  /* the file's tensors, whoever owns them by now; NULL: a new one */
    const tuff_log_receiver *log; /* while it is opened */
    int64_t virtual_tokens;       /* rows that come before each sequence's own */
    bool silent;                  /* these are keys and values alone, and predict nothing */
    bool keeps_own;               /* uploading keeps what the model has of those that it has whole */
    bool training;                /* of the net at hand */
    tuff_net_points points;       /* the method's and what rows of tokens need; where there are such */
    tuff_net_hook hook, off;      /* off: of a net that it does not change */
    void *own;                    /* the method's */
};

/* A new adapter for the model, which must outlive it. */
TUFF_MUST_USE tuff_status tuff_adapter_create(const tuff_model *model, const tuff_adapter_settings *settings,
                                              tuff_adapter **out_adapter);
/* From a PEFT directory, by its peft_type, or a GGUF file, by its adapter.type; or several LoRAs, each by a
 * weight, as one: "a=0.7,b=0.3". `log` receives what is said
 * of it; it may be NULL. */
TUFF_MUST_USE tuff_status tuff_adapter_open(const tuff_model *model, const char *directory,
                                            const tuff_log_receiver *log, tuff_adapter **out_adapter);
void tuff_adapter_destroy(tuff_adapter **adapter);

/* The hook for nets, NULL for no adapter; lives as long as it. */
const tuff_net_hook *tuff_adapter_hook(tuff_adapter *adapter, bool training);
/* The same of nets that the adapter leaves as they are. */
const tuff_net_hook *tuff_adapter_off(const tuff_adapter *adapter);
/* Rows that come before the tokens of each sequence, which batches, positions and caches reserve; 0 for no
 * adapter. Where there are some, nets have an input "embedding_rows" i32 [N]: token i's is i, that of virtual
 * token v N + v. */
int64_t tuff_adapter_virtual_tokens(const tuff_adapter *adapter);
/* Whether these are keys and values alone: no label is theirs, and routers do not count them. */
bool tuff_adapter_silent(const tuff_adapter *adapter);

/* Puts its tensors into the store (f32): from the files, or as they begin. The parameters of the model that
 * it has whole take the place of the model's, which are there. */
TUFF_MUST_USE tuff_status tuff_adapter_upload(const tuff_adapter *adapter, tuff_store *store);
/* Puts all that a net of the model reads into the store: parameters (f32 when they are trained), tables of so
 * many positions, and the adapter's tensors unless it is NULL. */
TUFF_MUST_USE tuff_status tuff_adapter_upload_model(const tuff_model *model, const tuff_adapter *adapter,
                                                    bool trained, int64_t positions, const tuff_watch *watch,
                                                    tuff_store *store);
typedef struct tuff_adapter_saving {
    const char *task_type; /* PEFT's, "CAUSAL_LM"; NULL: none */
    const char *base; /* what PEFT is to load it onto; NULL: the model's directory, or where it is from */
    const tuff_store *store; /* has the values; NULL: the files that it was opened from */
    const tuff_watch *watch;
} tuff_adapter_saving;
/* Writes adapter_config.json and adapter_model.safetensors (f32) into a directory that exists, with the
 * parameters of the model that are trained whole (models/params.h), or are in the files. */
TUFF_MUST_USE tuff_status tuff_adapter_save(const tuff_adapter *adapter, const tuff_adapter_saving *saving,
                                            const char *directory);

/* ---- parameters that it has whole (adapters/whole.c) */

/* Lists those of the files that the model has. */
TUFF_MUST_USE tuff_status tuff_adapter_find_whole(tuff_adapter *adapter);
/* Lists one that a new adapter trains; `name` in files lives as long as the adapter. */
TUFF_MUST_USE tuff_status tuff_adapter_add_whole(tuff_adapter *adapter, const tuff_param *param,
                                                 const char *name);
/* Whether a parameter of the model is trained whole beside it. */
bool tuff_adapter_trains(const tuff_adapter *adapter, const tuff_param *param);
/* A bias of the model, as PEFT finds them: by the end of its name. */
bool tuff_param_is_bias(const tuff_param *param);
/* The parameter among them; NULL: it is none. */
const tuff_adapter_whole *tuff_adapter_whole_of(const tuff_adapter *adapter, const tuff_param *param);
TUFF_MUST_USE tuff_status tuff_adapter_read_whole(const tuff_adapter *adapter, const tuff_adapter_whole *one,
                                                  int64_t begin, int64_t end, float *out);
/* The name of the first of them, for an error text. */
const char *tuff_adapter_whole_text(const tuff_adapter *adapter);
/* Whether a tensor of the files is one of them. */
bool tuff_adapter_is_whole(const tuff_adapter *adapter, const char *name);
TUFF_MUST_USE tuff_status tuff_adapter_upload_whole(const tuff_adapter *adapter, tuff_store *store);
/* What the model has of them stays in the store under names that begin so, where the adapter keeps it. */
#define TUFF_ADAPTER_OWN_PREFIX "own."
/* Bytes of these. */
uint64_t tuff_adapter_own_bytes(const tuff_adapter *adapter);
/* What a net without the adapter (tuff_adapter_off) reads of them, it reads of what the model has. */
void tuff_adapter_read_own(const tuff_adapter *adapter, tuff_graph *g);
/* The model that files are for where that has more tokens than `base`, or tables that are not tied any more;
 * NULL: it is `base`. */
TUFF_MUST_USE tuff_status tuff_adapter_change(const tuff_model *base, const char *directory,
                                              const tuff_peft_files *files, tuff_model **out_model);
/* Writes what the labels of the model's head are called beside an adapter, for tuff_model_adapted; PEFT does
 * not read it. */
TUFF_MUST_USE tuff_status tuff_adapter_save_labels(const tuff_model *model, const char *directory);

/* The modules that IA3 is for when none are named, or those of them whose input it scales; NULL: PEFT has
 * none for the architecture. */
const char *tuff_ia3_usual(const char *arch, bool feedforward);

/* ---- for methods */

/* Lists one more tensor; `name` is copied. Without columns it is a vector of so many numbers. */
TUFF_MUST_USE tuff_status tuff_adapter_add(tuff_adapter *adapter, const char *name, int64_t rows,
                                           int64_t columns, const tuff_weight *weight);
/* Its number, or SIZE_MAX. */
size_t tuff_adapter_find(const tuff_adapter *adapter, const char *name);
/* Lists a fixed tensor, whose name lives as long as the adapter; NULL: out of memory. Without columns it is a
 * vector. Its variable in a net. */
TUFF_MUST_USE tuff_status tuff_adapter_add_fixed(tuff_adapter *adapter, const char *name, int64_t rows,
                                                 int64_t columns);
tuff_tensor *tuff_adapter_fixed(const tuff_adapter *adapter, tuff_net *net, size_t index);
/* Rows [begin, end) of a tensor as the files have it; a vector is one row. */
TUFF_MUST_USE tuff_status tuff_adapter_read(const tuff_adapter *adapter, size_t index, int64_t begin,
                                            int64_t end, float *out);
/* All of a tensor as the store has it, or, where that is NULL, the files. */
TUFF_MUST_USE tuff_status tuff_adapter_values(const tuff_adapter *adapter, const tuff_store *store,
                                              size_t index, float *out);
/* The variable of a tensor in a net's graph. */
tuff_tensor *tuff_adapter_variable(const tuff_adapter *adapter, tuff_net *net, size_t index);

#endif
