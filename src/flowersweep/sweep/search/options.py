"""What `help` says about samplers and their options: the configuration of hydra-optuna-sweeper does not describe them.

Options that cannot be set are not here: Optuna ignores some, and others are objects of a program.
"""

# By the choice in hydra/sweeper/sampler.
SAMPLERS = {
    "cmaes": "CMA-ES: adapts a normal distribution to the best trials; for numbers, with many trials.",
    "gp": "Bayesian optimization with a Gaussian process; for few, expensive trials.",
    "grid": "Every point of the grid, in Hydra's order.",
    "nsgaii": "NSGA-II: a genetic algorithm for several objectives.",
    "nsgaiii": "NSGA-III: as NSGA-II, for more than three objectives.",
    "qmc": "A quasi-random sequence, which covers the space more evenly than random values.",
    "random": "Independent random values.",
    "tpe": "The tree-structured Parzen estimator: models where good trials are denser than others.",
}
OPTIONS = {
    "seed": "Makes the search reproducible.",
    "prior_weight": "Weight of the prior, relative to one trial.",
    "consider_magic_clip": "Whether the narrowest distributions around trials are widened.",
    "consider_endpoints": "Whether the ends of a range count as neighbors when the width of a distribution is chosen.",
    "n_startup_trials": "Finished trials before the model is used; until then, values are random.",
    "n_ei_candidates": "Candidates that are compared for each suggestion.",
    "multivariate": "Whether all keys are modelled together instead of one by one.",
    "group": "Whether keys that are not in every trial are modelled together with those they occur with; needs multivariate.",
    "warn_independent_sampling": "Whether a value that does not come from the model causes a warning.",
    "constant_liar": "Whether values near those of running trials are avoided.",
    "x0": "The initial center of the search, by key.",
    "sigma0": "The initial standard deviation.",
    "independent_sampler": "The sampler of values that this one does not model, with a _target_.",
    "consider_pruned_trials": "Whether pruned trials are used like finished ones.",
    "popsize": "Trials in one generation.",
    "use_separable_cma": "Whether keys are adapted independently, without correlations.",
    "with_margin": "Whether integers and steps are kept from settling on one value early.",
    "lr_adapt": "Whether the rate of adaptation follows the noise of the objective.",
    "deterministic_objective": "Whether the same values always have exactly the same objective.",
    "population_size": "Trials in one generation.",
    "mutation_prob": "Probability with which each value of a new trial is mutated.",
    "mutation": "How a number is mutated, with a _target_.",
    "crossover": "How the numbers of two or more trials are combined, with a _target_.",
    "crossover_prob": "Probability with which a new trial combines several others.",
    "swapping_prob": "Probability with which each value is swapped when two trials are combined.",
    "reference_points": "The directions in which the objectives are kept apart, a list of points.",
    "dividing_parameter": "Divisions of each objective between the default reference points.",
    "qmc_type": "The sequence: sobol or halton.",
    "scramble": "Whether the sequence is randomized; needs seed.",
    "warn_asynchronous_seeding": "Whether a randomized sequence without a seed causes a warning.",
}
# Where the value is not the one in the configuration of hydra-optuna-sweeper: Optuna's own, if an option is not set.
DEFAULTS = {
    "seed": "that of seed",
    "prior_weight": "1.0",
    "consider_magic_clip": "true",
    "consider_endpoints": "false",
    "multivariate": "true with one objective, otherwise false",
    "group": "true with hydra.sweeper.conditions and one objective, otherwise false",
    "warn_independent_sampling": "true; false with tpe",
    "constant_liar": "true",
    "x0": "the center of each range",
    "sigma0": "a sixth of the smallest range",
    "independent_sampler": "random values",
    "popsize": "4 + 3 * ln(number of keys), rounded down",
    "mutation_prob": "1 / number of keys",
    "mutation": "another random value",
    "crossover": "each value from one of the two trials",
    "reference_points": "evenly distributed, see dividing_parameter",
}
