/* A task of an application's own: own-task MODEL OUT teaches a model to add, by LoRA, and writes the PEFT
 * adapter OUT. The examples are made in memory. Only the answers are learned, and those of sums with a carry,
 * which are harder, count twice. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tuff/tuff.h>

enum { SUMS = 96, HELD_OUT = 16, LONGEST = 64, STEPS = 40 };

typedef struct sum {
    int32_t ids[LONGEST], labels[LONGEST];
    float weights[LONGEST];
    size_t count;
} sum;

/* Appends the tokens of a text, which are to be found or not. */
static tuff_status append(sum *to, const tuff_tokenizer *tokenizer, const char *text, bool learned,
                          float weight)
{
    int32_t *ids = NULL;
    size_t n = 0;
    tuff_status status = tuff_tokenizer_encode(tokenizer, text, strlen(text), 0, &ids, &n);
    for (size_t i = 0; i < n && to->count < LONGEST && !status; i++, to->count++) {
        to->ids[to->count] = ids[i];
        to->labels[to->count] = learned ? ids[i] : -100;
        to->weights[to->count] = weight;
    }
    tuff_free(ids);
    return status;
}

static tuff_status make(sum *to, const tuff_tokenizer *tokenizer, int a, int b)
{
    char question[32], answer[32];
    const bool carries = a % 10 + b % 10 > 9;
    to->count = 0;
    snprintf(question, sizeof question, "%d + %d =", a, b);
    snprintf(answer, sizeof answer, " %d.\n", a + b);
    tuff_status status = append(to, tokenizer, question, false, 0);
    return status ? status : append(to, tokenizer, answer, true, carries ? 2.0F : 1.0F);
}

/* Sums [from, to) as a data set. */
static tuff_status data_of(const sum *sums, size_t from, size_t to, tuff_dataset **out)
{
    tuff_example examples[SUMS];
    for (size_t i = from; i < to; i++) {
        tuff_example *e = &examples[i - from];
        *e = (tuff_example)TUFF_EXAMPLE_INIT;
        e->ids = sums[i].ids;
        e->labels = sums[i].labels;
        e->weights = sums[i].weights;
        e->count = sums[i].count;
    }
    return tuff_dataset_from_examples("causal-lm", examples, to - from, NULL, 0, out);
}

static tuff_status say_loss(tuff_trainer *trainer, const tuff_dataset *held_out, const char *when)
{
    tuff_eval_result result = TUFF_EVAL_RESULT_INIT;
    tuff_status status = tuff_trainer_evaluate(trainer, held_out, &result);
    if (!status) printf("%s: the loss of %d other sums is %.3f\n", when, HELD_OUT, result.loss);
    return status;
}

static tuff_status train(tuff_trainer *trainer, const tuff_dataset *held_out, const char *out)
{
    tuff_status status = say_loss(trainer, held_out, "before");
    for (int i = 0; i < STEPS && !status; i++) {
        tuff_train_step step = TUFF_TRAIN_STEP_INIT;
        status = tuff_trainer_step(trainer, &step);
    }
    if (!status) status = say_loss(trainer, held_out, "after");
    return status ? status : tuff_trainer_save(trainer, out);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s MODEL OUT\n", argv[0]);
        return 2;
    }
    static sum sums[SUMS];
    tuff_model *model = NULL;
    tuff_device *device = NULL;
    tuff_dataset *data = NULL, *held_out = NULL;
    tuff_trainer *trainer = NULL;
    const tuff_tokenizer *tokenizer = NULL;
    tuff_train_params params = TUFF_TRAIN_PARAMS_INIT;
    params.max_steps = STEPS;
    params.learning_rate = 3e-3;
    params.lora_rank = 8;
    params.lora_target = "all-linear";
    tuff_status status = tuff_model_load(argv[1], &model);
    if (!status) status = tuff_model_get_tokenizer(model, &tokenizer);
    for (int i = 0; i < SUMS && !status; i++)
        status = make(&sums[i], tokenizer, i * 37 % 50, i * 53 % 41);
    if (!status) status = data_of(sums, 0, SUMS - HELD_OUT, &data);
    if (!status) status = data_of(sums, SUMS - HELD_OUT, SUMS, &held_out);
    if (!status) status = tuff_device_open(NULL, &device);
    if (!status) status = tuff_trainer_create(model, device, data, &params, &trainer);
    if (!status) status = train(trainer, held_out, argv[2]);
    if (status) fprintf(stderr, "%s: %s\n", tuff_status_name(status), tuff_error_message());

    tuff_trainer_destroy(&trainer);
    tuff_device_destroy(&device);
    tuff_dataset_destroy(&data);
    tuff_dataset_destroy(&held_out);
    tuff_model_destroy(&model);
    return status ? 1 : 0;
}
