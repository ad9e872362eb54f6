"""What the launchers of other packages need: Ray is started before them, and Submitit gets no passwords."""
