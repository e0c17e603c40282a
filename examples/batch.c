/* Continues many prompts together, a line of text each: batch MODEL FILE. */
#include <stdio.h>
#include <tuff/tuff.h>

static bool print(const tuff_generated *text, void *user)
{
    if (*text->error) fprintf(stderr, "prompt %lld: %s\n", (long long)text->record + 1, text->error);
    fwrite(text->prompt, 1, text->prompt_size, user);
    fwrite(text->text, 1, text->text_size, user);
    return fputs("\n\n", user) >= 0;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s MODEL FILE\n", argv[0]);
        return 2;
    }
    const char *path = argv[1], *file = argv[2];

    tuff_model *model = NULL;
    tuff_device *device = NULL;
    tuff_batcher *batcher = NULL;
    tuff_generate_params each = TUFF_GENERATE_PARAMS_INIT;
    tuff_generate_many_params many = TUFF_GENERATE_MANY_PARAMS_INIT;
    each.max_new_tokens = 100;
    many.generate = &each;
    many.on_text = print;
    many.user = stdout;
    tuff_status status = tuff_model_load(path, &model);
    if (!status) status = tuff_device_open(NULL, &device);
    if (!status) status = tuff_batcher_create(model, device, NULL, &batcher);
    if (!status) status = tuff_generate_file(batcher, file, &many, NULL);
    if (status) fprintf(stderr, "%s: %s\n", tuff_status_name(status), tuff_error_message());

    tuff_batcher_destroy(&batcher);
    tuff_device_destroy(&device);
    tuff_model_destroy(&model);
    return status ? 1 : 0;
}
