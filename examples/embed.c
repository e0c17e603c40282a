/* Turns texts into vectors and prints how near each is to the first: embed MODEL TEXT..., where MODEL is an
 * embedding model. */
#include <stdio.h>
#include <stdlib.h>
#include <tuff/tuff.h>

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: %s MODEL TEXT...\n", argv[0]);
        return 2;
    }
    const char *path = argv[1], *const *texts = (const char *const *)argv + 2;
    size_t n = (size_t)argc - 2;

    tuff_model *model = NULL;
    tuff_device *device = NULL;
    tuff_embedder *embedder = NULL;
    tuff_status status = tuff_model_load(path, &model);
    if (!status) status = tuff_device_open(NULL, &device);
    if (!status) status = tuff_embedder_create(model, device, NULL, &embedder);
    size_t d = (size_t)tuff_embedder_dimensions(embedder);
    float *vectors = malloc((n * d + 1) * sizeof *vectors);
    if (!status) status = tuff_embed(embedder, texts, NULL, n, NULL, vectors, NULL);
    if (status) fprintf(stderr, "%s: %s\n", tuff_status_name(status), tuff_error_message());

    for (size_t i = 0; i < n && !status; i++) {
        double cosine = 0;
        for (size_t k = 0; k < d; k++)
            cosine += (double)vectors[k] * (double)vectors[i * d + k];
        printf("%.4f  %s\n", cosine, texts[i]);
    }
    free(vectors);
    tuff_embedder_destroy(&embedder);
    tuff_device_destroy(&device);
    tuff_model_destroy(&model);
    return status ? 1 : 0;
}
