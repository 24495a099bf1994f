# SPDX-License-Identifier: Apache-2.0
include(CMakeFindDependencyMacro)
find_dependency(Threads)
include(${CMAKE_CURRENT_LIST_DIR}/polyshm-targets.cmake)
if(NOT TARGET polyshm::polyshm) # installed without the shared library
    add_library(polyshm::polyshm INTERFACE IMPORTED)
    set_target_properties(polyshm::polyshm PROPERTIES
        INTERFACE_LINK_LIBRARIES polyshm::polyshm_static)
endif()
