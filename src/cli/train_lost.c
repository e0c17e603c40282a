/* Trainings whose device was lost: it is opened again, and they go on. */
#include "cli/train.h"

enum { MOST = 2 }; /* times that it is opened again without a checkpoint between them */

/* What was chosen for the device then stays. */
static void keep_batch(tuff_cli_train_options *o, const tuff_cli_train_options *given)
{
    if (!o->auto_batch || given->auto_batch) return;
    o->auto_batch = false;
    o->max_memory = 0;
    o->batch_size = given->batch_size;
    o->accumulation = given->accumulation;
}

static void say_step(int64_t step)
{
    tuff_cli_say(
        "tuff: the device is opened again, and the training goes on from its checkpoint of step %lld",
        (long long)step);
}

bool tuff_cli_train_again(tuff_cli_losses *losses, tuff_cli_train_options *options,
                          const tuff_cli_train_options *given, const tuff_cli_checkpoints *checkpoints)
{
    const int64_t saved = checkpoints->saved_at;
    if (tuff_cli_interrupted() || options->dry_run || options->print_plan) return false;
    losses->in_a_row = saved > losses->saved_at ? 1 : losses->in_a_row + 1;
    losses->saved_at = saved;
    if (losses->in_a_row > MOST) {
        tuff_cli_say("tuff: the device was lost %d times without a new checkpoint between, and is not opened "
                     "again: see what its driver reports, or take another (--device cpu)",
                     losses->in_a_row);
        return false;
    }
    keep_batch(options, given);
    if (saved >= 0 && (!checkpoints->from || saved > checkpoints->step)) {
        options->resume = "last";
        say_step(saved);
    } else if (checkpoints->from) {
        say_step(checkpoints->step);
    } else {
        tuff_cli_say("tuff: the device is opened again, and the training begins anew: it has no checkpoint%s",
                     options->save_strategy == TUFF_CLI_NEVER ? " (--save-steps)" : " yet");
    }
    return true;
}
