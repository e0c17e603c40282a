/* Fine-tunes a model by LoRA: finetune MODEL TEXT OUT writes the PEFT adapter OUT. */
#include <stdio.h>
#include <tuff/tuff.h>

static tuff_status run(tuff_trainer *trainer, const char *out)
{
    tuff_status status = TUFF_OK;
    int64_t steps = tuff_trainer_total_steps(trainer);
    for (int64_t i = 0; i < steps && !status; i++) {
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        status = tuff_trainer_step(trainer, &step);
        if (!status) printf("step %lld  loss %.4f\n", (long long)step.step, step.loss);
    }
    return status ? status : tuff_trainer_save(trainer, out);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s MODEL TEXT OUT\n", argv[0]);
        return 2;
    }
    tuff_train_params params = TUFF_TRAIN_PARAMS_INIT;
    params.max_steps = 20;
    params.learning_rate = 1e-3;
    params.lora_rank = 8;

    tuff_model *model = NULL;
    tuff_device *device = NULL;
    tuff_dataset *text = NULL;
    tuff_trainer *trainer = NULL;
    tuff_status status = tuff_model_load(argv[1], &model);
    if (!status) status = tuff_dataset_load_text(model, argv[2], 128, NULL, &text);
    if (!status) status = tuff_device_open(NULL, &device);
    if (!status) status = tuff_trainer_create(model, device, text, &params, &trainer);
    if (!status) status = run(trainer, argv[3]);
    if (status) fprintf(stderr, "%s: %s\n", tuff_status_name(status), tuff_error_message());

    tuff_trainer_destroy(&trainer);
    tuff_device_destroy(&device);
    tuff_dataset_destroy(&text);
    tuff_model_destroy(&model);
    return status ? 1 : 0;
}
