/* Optimizers: what each keeps of a trained tensor, and the operation that updates all of them at once. Which
 * tensors are trained, at which rate and with which decay, is data: the groups of the slots. */
#ifndef TUFF_TRAIN_OPTIMIZER_H
#define TUFF_TRAIN_OPTIMIZER_H

#include "models/params.h"
#include "runtime/store.h"
#include "train/kwargs.h"

enum { TUFF_OPTIMIZER_STATES = 4 }; /* the most that any keeps of one tensor */
enum { TUFF_OPTIMIZER_ARGS = 8 };   /* the most settings of its own that any has */

typedef struct tuff_optimizer tuff_optimizer;

/* The settings of all of them; each reads what it has. */
typedef struct tuff_optimizer_settings {
    const tuff_optimizer *optimizer; /* NULL: AdamW */
    double learning_rate, beta1, beta2, eps, momentum, weight_decay, max_grad_norm;
    bool nesterov;
    double args[TUFF_OPTIMIZER_ARGS]; /* as the optimizer lists them */
} tuff_optimizer_settings;

/* A tensor that an optimizer keeps for a trained one. */
typedef struct tuff_optimizer_state {
    const char *prefix; /* of its variable, before the trained tensor's name: "adam.m." */
    tuff_dtype dtype;
    int rank;
    int64_t shape[TUFF_MAX_RANK];
} tuff_optimizer_state;

/* One trained tensor in the graph of a step. */
typedef struct tuff_optimizer_slot {
    tuff_tensor *param, *grad, *states[TUFF_OPTIMIZER_STATES];
    bool decay;
    double lr_scale, weight_decay; /* as in tuff_trained */
} tuff_optimizer_slot;

struct tuff_optimizer {
    const char *name;
    const char *const *aliases; /* as transformers spells it, where that is another name; NULL ends them */
    bool momentum;              /* it reads the setting of that name */
    bool counts;                /* what it does depends on the number of steps before */
    const tuff_setting *args;   /* settings of its own, as transformers' optim_args */
    size_t n_args;
    tuff_status (*check)(tuff_optimizer_settings *settings); /* completes them; NULL: there is nothing to */
    /* The rate of step `step` (0 is the first) where it makes its own; NULL, or not above 0: the schedule's.
     */
    double (*rate)(const tuff_optimizer_settings *settings, int64_t step);
    /* The states of a trained tensor: how many, into out. */
    size_t (*states)(const tuff_optimizer_settings *settings, const tuff_trained *trained,
                     tuff_optimizer_state out[TUFF_OPTIMIZER_STATES]);
    /* Appends the update of all slots; `counter` is the state of tuff_optimizer_step, after the step. */
    void (*update)(const tuff_optimizer_settings *settings, tuff_graph *g, const tuff_optimizer_slot *slots,
                   size_t n, tuff_tensor *lr, tuff_tensor *norm, tuff_tensor *counter);
};

#define TUFF_OPTIMIZER(name) extern const tuff_optimizer tuff_optimizer_##name;
#include "train/optimizers/optimizers.def"
#undef TUFF_OPTIMIZER

/* By name or alias; NULL is the default. An error names all there are. */
TUFF_MUST_USE tuff_status tuff_optimizer_find(const char *name, const tuff_optimizer **out_optimizer);

/* Reads the chosen optimizer's own settings, see train/kwargs.h; `text` may be NULL. */
TUFF_MUST_USE tuff_status tuff_optimizer_take_args(tuff_optimizer_settings *settings, const char *text);
/* These settings as a text. */
void tuff_optimizer_put_args(const tuff_optimizer_settings *settings, tuff_buf *out);
/* The states of a trained tensor, in the order of their variables; returns how many. */
size_t tuff_optimizer_list(const tuff_optimizer_settings *settings, const tuff_trained *trained,
                           tuff_optimizer_state out[TUFF_OPTIMIZER_STATES]);

/* Appends a step over n trained tensors with their gradients: input "lr" f32 scalar, outputs "norm" and
 * "state" (see tuff_optimizer_step; that of the first phase), variables of the optimizer's states and of a
 * counter for each phase: tensors that are trained from a later phase on count their steps from there, as
 * PyTorch has it. */
void tuff_optimizer_build(const tuff_optimizer_settings *settings, tuff_graph *g, const tuff_trained *trained,
                          const int *phases, tuff_tensor *const *params, tuff_tensor *const *grads, size_t n);

/* Adds the states of a trained tensor, and those of the step, to a store, as zeros. */
TUFF_MUST_USE tuff_status tuff_optimizer_add_states(const tuff_optimizer_settings *settings,
                                                    const tuff_trained *trained, tuff_store *store);
TUFF_MUST_USE tuff_status tuff_optimizer_add_counter(tuff_store *store, int phase);
/* Bytes of these. */
uint64_t tuff_optimizer_bytes(const tuff_optimizer_settings *settings, const tuff_trained *trained);
/* The variable of a phase's counter: "optimizer.state", "optimizer.state.1". */
typedef struct tuff_counter_name {
    char text[32];
} tuff_counter_name;
tuff_counter_name tuff_optimizer_counter(int phase);
enum { TUFF_OPTIMIZER_COUNTER_BYTES = 16 };

/* For optimizers: a state as large as the trained tensor, f32. */
tuff_optimizer_state tuff_optimizer_like(const tuff_trained *trained, const char *prefix);
/* The builders of optimizers with one state take the same slots. NULL: the graph has failed. */
tuff_momentum_slot *tuff_optimizer_momentum_slots(tuff_graph *g, const tuff_optimizer_slot *slots, size_t n);

#endif
