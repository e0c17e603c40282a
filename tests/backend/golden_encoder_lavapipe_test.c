#include "kit/golden.h"

int main(void)
{
    return encoder_main("lavapipe");
}
