"""What a network costs: parameters, multiply-adds, memory, speed, and the lecture's arithmetic for convolutions."""
