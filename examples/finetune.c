/* Fine-tunes a model by LoRA: finetune MODEL TEXT OUT writes the PEFT adapter OUT. The application steps the
 * trainer, so that it decides what happens between two steps: it waits while there is a file OUT.pause, and
 * writes checkpoints, OUT/checkpoint-<step>. Ctrl-C ends it, also within a step. However it was ended, the
 * same command goes on from its last checkpoint, and the result is the same, byte for byte. */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <tuff/tuff.h>

enum { SAVE_STEPS = 10 };

static tuff_cancel *stop;

static void on_interrupt(int number)
{
    (void)number;
    tuff_cancel_request(stop); /* any thread may do so, too */
}

/* Several times a second, from within long calls; false would end them, as a request does. */
static bool show(const tuff_progress *p, void *user)
{
    if (p->total)
        fprintf(user, "\r%s %3.0f %%", tuff_phase_name(p->phase), 100.0 * (double)p->done / (double)p->total);
    return true;
}

static bool wants_pause(const char *out)
{
    char path[1024];
    snprintf(path, sizeof path, "%s.pause", out);
    FILE *file = fopen(path, "r");
    if (file) fclose(file);
    return file != NULL;
}

static void wait_while_paused(const char *out)
{
    const struct timespec moment = {.tv_nsec = 100000000};
    if (wants_pause(out)) printf("paused\n");
    fflush(stdout);
    while (wants_pause(out) && !tuff_cancel_requested(stop))
        nanosleep(&moment, NULL);
}

static tuff_status save(tuff_trainer *trainer, const char *out, int64_t step)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/checkpoint-%lld", out, (long long)step);
    return tuff_trainer_save_checkpoint(trainer, path, NULL);
}

/* *out_done: the steps of the newest checkpoint; 0: there is none. */
static tuff_status go_on(tuff_trainer *trainer, const char *out, int64_t *out_done)
{
    char *newest = NULL, *differences = NULL;
    tuff_checkpoint *checkpoint = NULL;
    tuff_checkpoint_info info = TUFF_CHECKPOINT_INFO_INIT;
    *out_done = 0;
    tuff_status status = tuff_checkpoint_find(out, 0, &newest);
    if (status == TUFF_NOT_FOUND) return TUFF_OK;
    if (!status) status = tuff_checkpoint_open(newest, NULL, &checkpoint);
    if (!status) status = tuff_checkpoint_get_info(checkpoint, &info);
    if (!status) status = tuff_checkpoint_differences(checkpoint, trainer, &differences);
    if (!status) printf("going on from %s\n%s", newest, differences);
    if (!status) status = tuff_trainer_resume(trainer, checkpoint);
    if (!status) *out_done = info.step;
    tuff_checkpoint_destroy(&checkpoint);
    tuff_free(differences);
    tuff_free(newest);
    return status;
}

/* TUFF_CANCELLED: it was asked to end, and what the steps before did is in a checkpoint. */
static tuff_status run(tuff_trainer *trainer, const char *out)
{
    int64_t done, saved, steps = tuff_trainer_total_steps(trainer);
    tuff_status status = go_on(trainer, out, &done);
    for (saved = done; done < steps && !status;) {
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        wait_while_paused(out);
        status = tuff_trainer_step(trainer, &step);
        if (status == TUFF_CANCELLED) break; /* the trainer is as it was before this step */
        if (!status) done = step.step;
        if (!status) printf("step %lld  loss %.4f\n", (long long)done, step.loss);
        if (!status && done % SAVE_STEPS == 0) status = save(trainer, out, saved = done);
    }
    if (status == TUFF_CANCELLED && done > saved && save(trainer, out, done) != TUFF_OK) return TUFF_IO;
    if (status == TUFF_CANCELLED) printf("stopped after step %lld\n", (long long)done);
    return status ? status : tuff_trainer_save(trainer, out);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s MODEL TEXT OUT\n", argv[0]);
        return 2;
    }
    tuff_model *model = NULL;
    tuff_device *device = NULL;
    tuff_dataset *text = NULL;
    tuff_trainer *trainer = NULL;
    tuff_status status = tuff_cancel_create(&stop);
    signal(SIGINT, on_interrupt);

    tuff_watch watch = TUFF_WATCH_INIT;
    watch.cancel = stop;
    watch.on_progress = show;
    watch.user = stderr;
    tuff_train_params params = TUFF_TRAIN_PARAMS_INIT;
    params.max_steps = 20;
    params.learning_rate = 1e-3;
    params.lora_rank = 8;
    params.watch = &watch;
    if (!status) status = tuff_model_load(argv[1], &model);
    if (!status) status = tuff_dataset_load_text(model, argv[2], 128, NULL, &text);
    if (!status) status = tuff_device_open(NULL, &device);
    if (!status) status = tuff_trainer_create(model, device, text, &params, &trainer);
    if (!status) status = run(trainer, argv[3]);
    if (status) fprintf(stderr, "%s: %s\n", tuff_status_name(status), tuff_error_message());

    tuff_trainer_destroy(&trainer);
    tuff_device_destroy(&device);
    tuff_dataset_destroy(&text);
    tuff_model_destroy(&model);
    tuff_cancel_destroy(&stop);
    return status ? 1 : 0;
}
