"""Random names for containers in docker's manner: an adjective and the surname of somebody to be remembered."""

from __future__ import annotations

import os

_ADJECTIVES = (
    "able agile airy alert ample apt ardent astute avid balanced blithe bright brisk bubbly buoyant calm candid "
    "cheerful civil clear coastal cordial cosmic courteous crisp curious daring dashing deft diligent discreet eager "
    "earnest easy eloquent endless fair faithful fearless fertile fleet fluent fond frank fresh frugal gentle genuine "
    "glad golden graceful grateful hardy hearty helpful honest humble ideal jaunty jolly joyful just keen lasting "
    "lively lofty loyal lucky lunar mellow merry mild mindful modest neat nimble noble open orderly patient placid "
    "playful plucky poised polite proud prudent pure quick quiet radiant rapid ready robust rosy rustic sane serene "
    "sharp silent sincere smooth snug sober solar solid spirited spry stable steady stellar sturdy subtle sunny supple "
    "swift tactful tender thrifty tidy tranquil upright valiant vivid warm watchful willing winged wise witty zesty"
).split()
_SURNAMES = (
    "abel agnesi airy alhazen ampere apgar archimedes arrhenius artin atiyah avicenna avogadro babbage backus banach "
    "banneker barton bateson bayes becquerel bernoulli berzelius bessel bethe bhaskara birkhoff bohr boltzmann bolyai "
    "boole borel born bragg brahe braille brouwer burnell cantor cardano carnot carson cartan carver cauchy cavendish "
    "cayley celsius chandrasekhar chargaff charpak chatelet chern church clausius clifford conway copernicus coriolis "
    "coulomb cray crick curie cuvier dalton darwin dedekind delbruck democritus descartes dijkstra diophantus dirac "
    "dirichlet doppler drake dyson eckert eddington edison ehrlich einstein eratosthenes erdos euclid euler faraday "
    "fermat fermi feynman fibonacci fischer fisher fleming floyd forsythe foucault fourier franklin fraunhofer frege "
    "fresnel galilei galois galvani gauss germain gibbs godel goeppert goethals goodall grassmann green haber hadamard "
    "haldane halley hamilton hardy harvey heaviside heisenberg helmholtz hero herschel hertz hilbert hippocrates hoare "
    "hodgkin hooke hopper hubble humboldt hutton huxley huygens hypatia ingenhousz jacobi jenner jevons jordan "
    "joule kapitza kepler khayyam kirchhoff klein knuth koch kolmogorov kovalevskaya krebs lagrange lamarck landau "
    "laplace lavoisier lebesgue leeuwenhoek legendre leibniz lie linnaeus liouville lobachevsky lomonosov lorentz "
    "lovelace lyell mach malpighi marconi markov maury maxwell mccarthy mcclintock meitner mendel mendeleev mersenne "
    "michelson millikan minkowski moebius monge morley morse moseley napier newton nightingale nobel noether "
    "oersted ohm oppenheimer ostwald pappus pascal pasteur pauli pauling pavlov payne peano pearson perlis planck "
    "poincare poisson priestley ptolemy pythagoras raman ramanujan ramsay rayleigh riemann ritchie rontgen rutherford "
    "rydberg salk sanger scheele schrodinger schwann seaborg shannon shockley siemens snell snow spallanzani steno "
    "stokes strachey sturgeon tarski tesla thales thomson torricelli turing vavilov venn vesalius virchow volta "
    "vonneumann wallace wallis watt weber wegener weierstrass weyl wheeler whitehead wiener wilkes wilkins wirth wu "
    "yukawa zeeman zermelo zuse"
).split()


def random_name() -> str:
    """One of some 36,000 names; whether it is free is for the store to say."""
    number = int.from_bytes(os.urandom(4), "little")
    number, adjective = divmod(number, len(_ADJECTIVES))
    return f"{_ADJECTIVES[adjective]}_{_SURNAMES[number % len(_SURNAMES)]}"
