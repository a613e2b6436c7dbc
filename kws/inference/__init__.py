"""Using a trained model: predict, evaluate, export, explain. Imports training for checkpoints."""
