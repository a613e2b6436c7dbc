"""Hidden checks of assignment 2: its contract with hidden values."""

from grader.course.trials import check_trial
from kws.course.a02_attention import contract as attention

test_attend_values = check_trial(attention.attend_values, points=3)
test_attend_padding = check_trial(attention.attend_padding, points=2)
test_attend_gradients = check_trial(attention.attend_gradients, points=1)
test_heads_values = check_trial(attention.heads_values, points=4)
test_self_attention_values = check_trial(attention.self_attention_values, points=3)
test_self_attention_padding = check_trial(attention.self_attention_padding, points=2)
test_self_attention_count = check_trial(attention.self_attention_count, points=1)
test_sinusoids_values = check_trial(attention.sinusoids_values, points=4)
test_layer_values = check_trial(attention.layer_values, points=3)
test_layer_padding = check_trial(attention.layer_padding, points=2)
test_layer_count = check_trial(attention.layer_count, points=1)
test_encoder_values = check_trial(attention.encoder_values, points=2)
test_encoder_padding = check_trial(attention.encoder_padding, points=2)
test_encoder_count = check_trial(attention.encoder_count, points=1)
test_count_values = check_trial(attention.count_values, points=3)
