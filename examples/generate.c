/* Continues a prompt: generate MODEL PROMPT, where MODEL is a Hugging Face directory or a GGUF file. */
#include <stdio.h>
#include <string.h>
#include <tuff/tuff.h>

static bool print(const char *text, size_t size, void *user)
{
    return fwrite(text, 1, size, user) == size && fflush(user) == 0;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s MODEL PROMPT\n", argv[0]);
        return 2;
    }
    const char *path = argv[1], *prompt = argv[2];

    tuff_model *model = NULL;
    tuff_device *device = NULL;
    tuff_generator *generator = NULL;
    tuff_generate_params params = TUFF_GENERATE_PARAMS_INIT;
    params.max_new_tokens = 100;
    params.on_text = print;
    params.user = stdout;
    tuff_status status = tuff_model_load(path, &model);
    if (!status) status = tuff_device_open(NULL, &device); /* the best one; or name = "cpu", "radeon", ... */
    if (!status) status = tuff_generator_create(model, device, NULL, &generator);
    if (!status) status = tuff_generate(generator, prompt, strlen(prompt), &params, NULL);
    if (status) fprintf(stderr, "%s: %s\n", tuff_status_name(status), tuff_error_message());

    putchar('\n');
    tuff_generator_destroy(&generator);
    tuff_device_destroy(&device);
    tuff_model_destroy(&model);
    return status ? 1 : 0;
}
