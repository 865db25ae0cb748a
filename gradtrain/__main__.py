"""python -m gradtrain."""

from gradtrain.cli import main

if __name__ == "__main__":
    main()
