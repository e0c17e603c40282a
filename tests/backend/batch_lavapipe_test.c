#include "kit/golden.h"

int main(void)
{
    return batch_main("lavapipe");
}
