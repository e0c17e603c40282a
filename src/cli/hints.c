/* What to do instead of an option of another program that Tuff does not have. */
#include <string.h>

#include "cli/args.h"

typedef struct hint {
    const char *name; /* with '-', as options are compared */
    const char *text; /* ends the sentence "train has no option --name: " */
} hint;

#define PRECISION                                                                                    \
    "train's mixed precision is --bf16, and without it all is f32; a frozen model's matrices (with " \
    "--lora-rank) stay in the type that its file has"
#define QUANTIZED                                                                           \
    "Tuff does not quantize while it loads; give a quantized .gguf file as --model, which " \
    "`tuff convert --dtype q4_k_m` makes"
#define NO_HUB    "Tuff neither loads from the hub nor writes to it; leave the option out"
#define NO_TOPICS "Tuff reports to standard error and into --log-file; leave the option out"
#define MULTIPLE  "Tuff trains on one device (--device); leave the option out"

static const hint hints[] = {
    {"fp16", PRECISION},
    {"tf32", PRECISION},
    {"torch-dtype", PRECISION},
    {"mixed-precision", PRECISION},
    {"gradient-checkpointing", "Tuff keeps all activations of a batch; to save memory take a smaller "
                               "--per-device-train-batch-size with more --gradient-accumulation-steps, or a "
                               "smaller --block-size"},
    {"model-name", "write --model PATH, a local directory or .gguf file"},
    {"config-name", "the config is read from the directory of --model"},
    {"tokenizer-name", "the tokenizer is read from the directory or the .gguf file of --model"},
    {"outtype", "write --dtype TYPE"},
    {"imatrix", "write --importance-text FILE, a text that the model runs over"},
    {"load-in-4bit", QUANTIZED},
    {"load-in-8bit", QUANTIZED},
    {"quantization", QUANTIZED},
    {"dataset-name", "write --train-file FILE, a text in a local file"},
    {"dataset", "write --train-file FILE, a text in a local file"},
    {"train-data", "write --train-file FILE"},
    {"validation-split-percentage", "write --validation-split X, a share: 0.05 for 5 percent"},
    {"streaming", "a text is not read into memory as a whole; leave the option out"},
    {"overwrite-cache", "write `tuff cache --remove`, or --no-data-cache"},
    {"do-train", "train always trains; leave the option out"},
    {"do-eval", "--validation-file alone asks for an evaluation; leave the option out"},
    {"do-predict", "see: tuff help generate"},
    {"per-device-eval-batch-size", "an evaluation while training takes --per-device-train-batch-size"},
    {"report-to", NO_TOPICS},
    {"logging-dir", NO_TOPICS},
    {"push-to-hub", NO_HUB},
    {"hub-model-id", NO_HUB},
    {"trust-remote-code", "Tuff runs no code of a model; leave the option out"},
    {"optimizer", "write --optim NAME"},
    {"deepspeed", MULTIPLE},
    {"fsdp", MULTIPLE},
    {"local-rank", MULTIPLE},
    {"use-cpu", "write --device cpu"},
    {"no-cuda", "write --device cpu"},
    {"max-seq-length", "write --block-size N for a text, --max-length N for records"},
    {"max-source-length", "write --max-length N"},
    {"max-length", "write --max-new-tokens N, which does not count the prompt (with train: --block-size N)"},
    {"epochs", "write --num-train-epochs X"},
    {"lr", "write --learning-rate X"},
    {"use-peft", "write --lora-rank N or --peft-type NAME"},
    {"use-lora", "write --lora-rank N"},
    {"do-sample", "a --temperature above 0 samples"},
    {"temp", "write --temperature X"},
    {"n-probs", "write --logprobs N"},
    {"top-logprobs", "write --logprobs N"},
    {"min-length", "write --min-new-tokens N, which does not count the prompt"},
    {"stop-token-ids", "write --eos-token-id ID for each"},
    {"typical", "write --typical-p X"},
    {"bad-words-ids", "write --bad-words TEXT, or --logit-bias ID=-inf"},
    {"suppress-tokens", "write --logit-bias ID=-inf for each"},
    {"repeat-penalty", "write --repetition-penalty X"},
    {"repeat-last-n", "write --repetition-window N"},
    {"n-predict", "write --max-new-tokens N"},
    {"max-tokens", "write --max-new-tokens N"},
    {"ctx-size", "write --context-length N"},
    {"file", "write --prompt-file FILE (with train: --train-file FILE)"},
    {"n-gpu-layers", "the whole model lies on one device (--device); leave the option out"},
    {"model", "the model's path stands alone, without a name"},
    {"train-file", "write --file FILE (with generate: --prompt-file FILE)"},
    {"adapter", "adapters go to generate, eval, embed and such, and to convert, which merges them"},
    {"lora", "write --adapter PATH, a PEFT directory or a .gguf file (with train: --lora-rank N)"},
};

const char *tuff_args_hint(const char *name)
{
    for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++)
        if (strcmp(hints[i].name, name) == 0) return hints[i].text;
    return NULL;
}
