"""What we know of Debian: releases and their signatures, package indexes, dependencies, and `.deb` files as trees."""
