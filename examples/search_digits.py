"""The main job in Python: a hyperparameter search on a real data set, and the best model. Two minutes on two cores."""

from keras_cookbook import recipes, tuning

data = recipes.data.load("digits")
found = tuning.search(recipes.mlp, data)
print(found.leaderboard())
print(found.best_model().evaluate(data.test, return_dict=True, verbose=0))
