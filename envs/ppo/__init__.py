"""Proximal policy optimisation on batched lanes: Stable-Baselines3's PPO, with its two hot loops written anew."""
