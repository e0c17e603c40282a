#include "kit/golden.h"

int main(void)
{
    return seq2seq_main("lavapipe");
}
