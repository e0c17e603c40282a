#include "generate/generator.h"

tuff_program *tuff_generator_program(tuff_generator *generator)
{
    return generator->programs[0];
}
