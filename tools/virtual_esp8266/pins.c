// GPIO and PWM: registers without pins. Part of uwebsocket; MIT licence.
//
// Stands for the chip's GPIO block and the port's esppwm.c. What is written to an output is read back from it; an input
// is 0. Differs: no pin, no interrupt from one, no pulse.

#include "chip.h"
#include "esppwm.h"

void gpio_output_set(uint32_t set, uint32_t clear, uint32_t enable, uint32_t disable) {
    GPIO_REG_WRITE(GPIO_OUT_ADDRESS, (GPIO_REG_READ(GPIO_OUT_ADDRESS) | set) & ~clear);
    GPIO_REG_WRITE(GPIO_ENABLE_ADDRESS, (GPIO_REG_READ(GPIO_ENABLE_ADDRESS) | enable) & ~disable);
}

int gpio_input_get(uint32_t pin) {
    return (GPIO_REG_READ(GPIO_OUT_ADDRESS) & GPIO_REG_READ(GPIO_ENABLE_ADDRESS)) >> pin & 1;
}

void pwm_init(void) {
}

void pwm_start(void) {
}

void pwm_set_duty(int16_t duty, uint8_t channel) {
}

uint16_t pwm_get_duty(uint8_t channel) {
    return 0;
}

void pwm_set_freq(uint16_t freq, uint8_t channel) {
}

uint16_t pwm_get_freq(uint8_t channel) {
    return 0;
}

int pwm_add(uint8_t pin_id, uint32_t pin_mux, uint32_t pin_func) {
    return -1;
}

bool pwm_delete(uint8_t channel) {
    return false;
}
