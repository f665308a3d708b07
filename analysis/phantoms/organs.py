"""The organs of the average patient as signed distances in mm, all on ``Axes`` in that patient's coordinates."""

import numpy as np
from scipy.interpolate import PchipInterpolator

from .build import Build
from .shapes import Axes, Field, ellipsoid, normalised_along_z, oval, smooth_noise, soft_union, tube, union

LIVER_HU, SPLEEN_HU, STOMACH_HU, STOMACH_AIR_HU, DIAPHRAGM_HU = 58, 48, 25, -960, 48
RIB_DISTANCE_MM, RIB_DROP_MM, FIRST_RIB_Z_MM = 24, 92, 96


def _profile(z: Field, levels: tuple[float, ...], values: tuple[float, ...]) -> Field:
    """A smooth curve through ``values`` at ``levels`` (ascending), evaluated at each z."""
    return PchipInterpolator(levels, values)(np.clip(z, levels[0], levels[-1])).astype(np.float32)


def cavity(axes: Axes) -> Field:
    """Inside of the rib cage (parietal pleura), continued into the belly."""
    levels = (-230, -140, -100, -60, -20, 20, 50, 75, 95, 104, 110, 116)
    width = _profile(axes.z, levels, (128, 134, 136, 134, 128, 118, 105, 93, 80, 70, 60, 50))
    depth = _profile(axes.z, levels, (90, 94, 94, 91, 86, 77, 67, 55, 43, 34, 20, 1))
    middle = _profile(axes.z, levels, (-6, -3, -2, 0, 2, 6, 10, 13, 16, 18, 19, 20))
    return np.maximum(oval(axes, width, depth, middle, 2.5, 2.0), axes.open[0] - 112)


def body(axes: Axes, build: Build) -> Field:
    levels = (-230, -140, -60, 0, 40, 80, 110, 140, 170)
    fat = np.float32(build.fat_mm - 8)
    width = _profile(axes.z, levels, (146, 152, 158, 166, 174, 182, 184, 172, 90)) + fat
    depth = _profile(axes.z, levels, (108, 112, 113, 110, 103, 92, 81, 71, 62)) + 0.7 * fat
    middle = _profile(axes.z, levels, (0, 4, 6, 8, 11, 14, 16, 16, 15))
    body = oval(axes, width, depth, middle, 2.9, 2.2)
    if build.sex == "F":
        size = 0.75 + build.fat_mm / 40
        for side in (-1, 1):
            breast = ellipsoid(axes, (82 * side, -88, -38), (58 * size, 42 * size, 62 * size))
            body = soft_union(body, breast, 30)
    return body


def _spine_y(z: Field) -> Field:
    """Front-to-back place of the vertebral bodies' middle: the thoracic kyphosis."""
    return _profile(z, (-230, -140, -60, 0, 50, 100, 170), (44, 51, 59, 59, 53, 41, 32))


def mediastinum(axes: Axes) -> Field:
    """Between the lungs: half-width by level and depth, with the spine and its gutters."""
    z, y, x = axes.open
    behind = y - _spine_y(axes.z)[:, None, None]
    waist = _profile(axes.z, (-230, -80, -30, 10, 40, 80, 120), (14, 16, 20, 24, 23, 25, 30))[:, None, None]
    front = np.clip((y + 62) / 38, 0, 1)
    half_width = 4 + (waist - 4) * front * front * (3 - 2 * front)
    half_width = half_width + np.clip(-y - 60, 0, 30) * 0.3 * np.clip((30 - z) / 60, 0, 1)  # fat behind the sternum
    column = 21 + 0.55 * np.clip(behind, 0, 60) - np.clip(-behind - 8, 0, 40) * 0.5
    half_width = np.where(behind > -16, np.maximum(half_width * 0.6, column), half_width)
    return ((np.abs(x - midline_x(y)) - half_width) * 0.9).astype(np.float32)


def midline_x(y: Field) -> Field:
    """Between the lungs; the anterior junction line lies left of the middle."""
    return 6 * (1 - np.clip((y + 62) / 38, 0, 1))


def column(axes: Axes) -> Field:
    """Spine with the muscle beside it, which bulges into the rib cage."""
    _, y, x = axes.open
    behind = y - _spine_y(axes.z)[:, None, None]
    return np.maximum(np.abs(x) - 17 - 0.55 * np.clip(behind, 0, 60), -10 - behind).astype(np.float32)


def above_diaphragm(axes: Axes, dome_mm: float) -> Field:
    """Height above the diaphragm (positive in the lungs): two domes, deep recesses at the back and sides."""
    z, y, x = axes.open
    right = -92 + dome_mm - _dome_drop(-62 - x, y + 12)
    left = -104 + dome_mm - _dome_drop(x - 62, y + 12)
    sharp = np.float32(9)
    top = sharp * np.logaddexp(right / sharp, left / sharp)
    return normalised_along_z((z - top) * 0.75, axes)


def _dome_drop(outwards: Field, backwards: Field) -> Field:
    """How far a dome has fallen this far from its top; ``outwards`` is negative to the midline."""
    lateral = np.where(outwards < 0, 40 * (outwards / 70) ** 2, 62 * (np.abs(outwards) / 70) ** 2.4)
    depth = np.where(backwards > 0, 78 * (np.abs(backwards) / 92) ** 1.9, 34 * (np.abs(backwards) / 72) ** 2)
    return lateral + depth


OESOPHAGUS = ((4, 20, 165), (6, 26, 60), (6, 32, 0), (9, 32, -70), (16, 22, -125), (35, 5, -150))


def heart(axes: Axes, size: float) -> Field:
    """Ventricles towards the left front, atria behind, right atrium towards the right."""
    left = ellipsoid(axes, (34, -34, -77), (47 * size, 43 * size, 54 * size))
    right = ellipsoid(axes, (-5, -45, -71), (40 * size, 38 * size, 59 * size))
    atria = ellipsoid(axes, (2, 2, -44), (38 * size, 26, 30))
    return soft_union(soft_union(left, right, 14), atria, 14)


def crura(axes: Axes) -> Field:
    """The diaphragm's legs beside the aorta, and the psoas muscles below them."""
    parts = [tube(axes, ((13 * s, 22, -120), (14 * s, 34, -150), (16 * s, 42, -230)), (3, 6, 9)) for s in (-1, 1)]
    return union(*parts)


def great_vessels(axes: Axes) -> Field:
    aorta = tube(
        axes,
        ((4, -30, -32), (-13, -38, 0), (-12, -36, 28), (0, -20, 43), (14, 6, 46), (24, 30, 34), (26, 42, 10),
         (25, 44, -40), (20, 42, -90), (10, 36, -140), (4, 32, -230)),
        (16, 16, 15.5, 14, 13.5, 13, 12.5, 12, 11.5, 10.5, 10),
    )  # fmt: skip
    pulmonary = tube(axes, ((16, -48, -30), (20, -40, -6), (26, -18, 6), (42, 6, 6)), (14, 14, 13, 10))
    right_pulmonary = tube(axes, ((22, -20, 0), (-8, -8, -8), (-40, 0, -12)), (13, 11, 9))
    caval = tube(axes, ((-30, -30, 70), (-28, -22, 42), (-27, -16, -10), (-24, -8, -40)), (8, 9.5, 10, 10))
    lower_caval = tube(axes, ((-20, -2, -60), (-24, 8, -110), (-26, 12, -230)), 12)
    veins = tube(axes, ((-48, 8, -40), (0, 10, -40), (48, 10, -36)), (6, 9, 6))
    innominate = tube(axes, ((-28, -30, 62), (0, -36, 70), (34, -28, 88), (70, -22, 102)), 6.5)
    right_innominate = tube(axes, ((-30, -30, 66), (-42, -22, 96), (-80, -20, 106)), 6.5)
    arch_1 = tube(axes, ((-4, -22, 46), (-14, -14, 75), (-28, -4, 110), (-34, -2, 165)), (7, 6.5, 5, 4))
    arch_2 = tube(axes, ((8, -8, 48), (18, -6, 80), (28, -2, 120), (32, -2, 165)), (5, 4.5, 4, 4))
    arch_3 = tube(axes, ((17, 8, 48), (28, 8, 85), (46, 4, 108), (90, -4, 116)), (6, 5.5, 5, 4.5))
    azygos = tube(axes, ((-10, 44, -150), (-8, 40, 0), (-16, 32, 18), (-25, 6, 18), (-26, -14, 14)), 4)
    return union(aorta, pulmonary, right_pulmonary, caval, lower_caval, veins, innominate, right_innominate,
                 arch_1, arch_2, arch_3, azygos)  # fmt: skip


def central_airways(axes: Axes) -> Field:
    """Lumen of the trachea and the main, intermediate and lobar bronchi."""
    trachea = tube(axes, ((0, -2, 170), (0, 3, 100), (-1, 10, 40), (0, 15, 2)), (8.5, 8.8, 8.8, 9.5))
    right = tube(
        axes, ((0, 15, 0), (-24, 18, -16), (-34, 20, -30), (-40, 24, -52), (-50, 38, -92)), (8, 6.8, 5.5, 4, 2)
    )
    right_upper = tube(axes, ((-20, 17, -12), (-42, 18, -4)), (5, 4))
    left = tube(axes, ((0, 15, 0), (26, 21, -20), (38, 24, -28), (44, 30, -54), (52, 42, -92)), (7.5, 6.2, 5.2, 4, 2))
    left_upper = tube(axes, ((32, 22, -24), (48, 12, -18)), (5, 4))
    return union(trachea, right, right_upper, left, left_upper)


def _around_cavity(axes: Axes) -> tuple[Field, Field]:
    """Angle from the back (0) to the front (π) around the chest, and the ribs' height over their back end."""
    z, y, x = axes.open
    angle = np.arctan2(np.abs(x), y - 4).astype(np.float32)
    drop = RIB_DROP_MM * (1 - np.cos(np.minimum(angle, 2.5))) / 1.8
    return angle, (z + drop).astype(np.float32)


def bones(axes: Axes, cavity: Field) -> tuple[Field, Field]:
    """All bones in one field, and the costal cartilages."""
    angle, rib_z = _around_cavity(axes)
    number = np.clip(np.round((FIRST_RIB_Z_MM - rib_z) / RIB_DISTANCE_MM), 0, 11)
    across = (rib_z - (FIRST_RIB_Z_MM - RIB_DISTANCE_MM * number)) * 0.9
    rib = (np.hypot((cavity - 6) / 3.5, across / 5.6) - 1) * 3.5
    bony_end = np.where(number > 9, 1.6, 2.5)
    cartilage = np.maximum(rib, (bony_end - angle) * 80)
    cartilage = np.maximum(cartilage, (number > 8) * 20.0)
    rib = np.maximum(rib, (angle - bony_end) * 80)
    return union(rib, _spine(axes), _sternum(axes, cavity), _shoulder_bones(axes, cavity, angle)), cartilage


def _spine(axes: Axes) -> Field:
    z, y, x = axes.open
    behind = y - _spine_y(axes.z)[:, None, None]
    segment = (z - FIRST_RIB_Z_MM) / RIB_DISTANCE_MM
    in_segment = np.abs(segment - np.round(segment))
    disc = (0.1 - in_segment) * RIB_DISTANCE_MM  # ribs meet the spine at the discs
    side = np.abs(x)
    vertebra = (np.hypot(x / 17.5, behind / 14.5) - 1) * 14.5
    vertebra = np.maximum(vertebra, disc)
    arch = np.maximum((np.hypot(x / 15, (behind - 25) / 13) - 1) * 13, np.abs(in_segment - 0.4) * 24 - 7)
    spinous = np.maximum(np.maximum(side - 3, np.abs(behind - 44) - 13), np.abs(in_segment - 0.35) * 24 - 5)
    transverse = np.hypot(behind - 27 - side * 0.12, (in_segment - 0.1) * 24) - 5
    transverse = np.maximum(transverse, side - 33)
    canal = np.hypot(x, behind - 24) - 8.8
    return np.maximum(union(vertebra, arch, spinous, transverse), -canal)


def _sternum(axes: Axes, cavity: Field) -> Field:
    z, _, x = axes.open
    half_width = _profile(axes.z, (-105, -90, -20, 30, 52, 66), (2, 15, 17, 15, 26, 24))[:, None, None]
    plate = np.maximum(np.abs(cavity - 8) - 5, np.abs(x) - half_width)
    return np.maximum(np.maximum(plate, z - 66), -104 - z) + np.where(axes.open[1] > 0, 50, 0)


def _shoulder_bones(axes: Axes, cavity: Field, angle: Field) -> Field:
    z, _, _ = axes.open
    reach = np.maximum(np.abs(angle - 0.95 - z * 0.0015) * 95 - np.clip((z + 60) * 0.34, 0, 40), np.abs(z - 25) - 72)
    blade = np.maximum(np.abs(cavity - 25) - 1.8, reach)
    parts = [blade]
    for side in (-1, 1):
        clavicle = ((18 * side, -56, 74), (60 * side, -48, 92), (105 * side, -26, 112), (142 * side, 2, 124))
        parts.append(tube(axes, clavicle, (8, 5.5, 5.5, 6.5)))
        spine = ((70 * side, 84, 92), (118 * side, 70, 112), (146 * side, 30, 126))
        parts.append(tube(axes, spine, (4, 5, 8)))
        parts.append(ellipsoid(axes, (160 * side, 10, 138), (24, 24, 26)))
    return union(*parts)


def muscle(axes: Axes, body: Field, cavity: Field, bone: Field, build: Build) -> Field:
    """Chest wall, back, shoulder girdle and pectorals; what is left under the skin is fat."""
    z, y, x = axes.open
    angle, _ = _around_cavity(axes)
    behind = y - _spine_y(axes.z)[:, None, None]
    back = (np.hypot((np.abs(x) - 27) / 25, (behind - 42) / 17) - 1) * 17
    girdle = np.maximum(np.abs(cavity - 25) - 14, np.abs(angle - 1.05) * 95 - np.clip((z + 85) * 0.42, 0, 58))
    thickness = _profile(axes.z, (-70, -40, 20, 60, 90), (0, 5, 11, 14, 16))[:, None, None]
    pectoral = np.maximum(np.abs(cavity - 14 - thickness / 2) - thickness / 2, (1.75 - angle) * 95)
    pectoral = np.maximum(pectoral, np.abs(angle - 2.35) * 95 - 58)
    flank = np.maximum(np.abs(cavity - 16) - 6, np.abs(angle - 1.45) * 95 - 50)
    neck_depth = _profile(axes.z, (50, 85, 115, 150), (70, 32, 12, 6))[:, None, None] + build.fat_mm * 0.8
    wall = union(cavity - 12, bone - 2, back, girdle, pectoral, flank, body + neck_depth)
    return np.maximum(wall, body + 3)


def with_fat_planes(rng: np.random.Generator, axes: Axes, muscle: Field, cavity: Field) -> Field:
    """Thin sheets of fat between the muscles outside the rib cage: where a smooth noise crosses zero."""
    sheet = np.minimum(1.3 - 11 * np.abs(smooth_noise(rng, axes, 26)), cavity - 9)
    return np.maximum(muscle + 1.5 * smooth_noise(rng, axes, 16), sheet)


def belly_organs(axes: Axes, dome: Field, cavity: Field, rng: np.random.Generator) -> tuple[Field, Field]:
    """Liver, spleen, stomach with an air bubble, bowel: distance and HU."""
    z, y, x = axes.open
    below = dome + 1
    edge = 46 - 0.008 * np.clip(y + 75, 0, None) ** 2 + 0.4 * (z + 140)
    liver = np.maximum(np.maximum(below, cavity + 5), (x - edge) * 0.85) + 2 * smooth_noise(rng, axes, 25)
    liver = np.maximum(liver, 12 - np.abs(x + 8) - np.clip(20 - y, 0, 60))
    spleen = np.maximum(ellipsoid(axes, (98, 44, -158), (27, 42, 46)), np.maximum(below + 4, cavity + 4))
    stomach = np.maximum(ellipsoid(axes, (66, -12, -158), (40, 46, 48)), np.maximum(below + 5, 4 - liver))
    stomach = np.maximum(stomach, 3 - spleen)
    bubble = np.maximum(stomach + 4, y + 34)
    bowel = np.maximum(smooth_noise(rng, axes, 22) * -14 + 9, np.maximum(np.maximum(z + 190, cavity + 9), 4 - liver))
    hu = np.where(liver < np.minimum(spleen, stomach), LIVER_HU, np.where(spleen < stomach, SPLEEN_HU, STOMACH_HU))
    hu = np.where(bubble < 0, STOMACH_AIR_HU, hu)
    diaphragm = np.maximum(np.maximum(dome, -2.5 - dome), cavity)
    hu = np.where(diaphragm < union(liver, spleen, stomach, bowel), DIAPHRAGM_HU, hu)
    return union(liver, spleen, stomach, bowel, diaphragm), hu.astype(np.float32)


def fissures(axes: Axes, bend: Field) -> Field:
    """Signed distance to the oblique fissures; on the right also distance to the horizontal one in front of it."""
    z, y, x = axes.open
    oblique = (z + 25) * 0.66 - y * 0.75 - 6 - np.abs(x) * 0.12 + bend
    horizontal = np.minimum(oblique, np.abs(z + 22 + 0.1 * y - bend))
    return np.where((x < 0) & (oblique > 0), horizontal, oblique).astype(np.float32)
