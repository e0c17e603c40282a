/* What sentence-transformers wants beside a model that was trained. */
#include "formats/sentence.h"
#include "train/tasks/embedding.h"

tuff_status tuff_embedding_save(const tuff_dataset *data, const char *directory)
{
    const tuff_embedder *e = tuff_embedding_data_of(data)->settings;
    const tuff_sentence_layout layout = {.pooling = e->pooling,
                                         .normalize = e->normalize,
                                         .dimensions = e->full,
                                         .max_length = tuff_embedder_max_length(e),
                                         .prompts = &e->sentence};
    return tuff_sentence_write(&layout, directory);
}
